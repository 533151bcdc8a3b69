"""Lists the packages: every subpackage of every room, so that none is missing from the wheel."""

from setuptools import find_packages, setup

PARTS = ("envs", "agents", "oversight", "experiments")

setup(
    packages=[
        "looplab",
        "looplab.configs",
        *(
            name
            for part in PARTS
            for name in (
                f"looplab.{part}",
                *(f"looplab.{part}.{sub}" for sub in find_packages(part)),
            )
        ),
    ]
)

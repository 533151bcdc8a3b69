"""LoopLab: a laboratory for human oversight of reinforcement-learning agents."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from looplab.envs.registration import register_all

_here = Path(__file__).resolve().parent

#: Folder of the Hydra configuration: beside the package when installed, at the root in a checkout.
CONFIG_DIR = next(p for p in (_here / "configs", _here.parent / "configs") if p.is_dir())

try:
    __version__ = version("looplab")
except PackageNotFoundError:  # a checkout on the path that was never installed
    __version__ = "0.0.0"

register_all()

__all__ = ["CONFIG_DIR", "__version__"]

"""What the sliders of a lesson set, and what each of them means."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from looplab.envs.errors import UsageError, unknown, whole, within


@dataclass(frozen=True)
class Slider:
    """One setting as a person sees it.

    Attributes:
        label: its name.
        unit: of its value: ``%`` (of a number in [0, 1]), ``steps``, ``s`` or nothing.
        low: least value.
        high: greatest value.
        step: between two values.
        explains: what it does, in one sentence.
    """

    label: str
    unit: str
    low: float
    high: float
    step: float
    explains: str

    def text(self, value: float) -> str:
        """A value with its unit."""
        if self.unit == "%":
            return f"{value:.0%}".replace("%", " %")
        unit = self.unit.removesuffix("s") if value == 1 and self.unit == "steps" else self.unit
        return f"{value:g} {unit}".strip()


#: The sliders, by the names of the settings.
SLIDERS: dict[str, Slider] = {
    "error": Slider(
        "Reviewer error", "%", 0.0, 1.0, 0.05,
        "How often the simulated human lets an unsafe action pass, in both overseen lanes.",
    ),
    "lag_steps": Slider(
        "Reaction lag", "steps", 0, 6, 1,
        "On the loop: steps between noticing and taking over.",
    ),
    "review_seconds": Slider(
        "Review time", "s", 1.0, 30.0, 1.0,
        "In the loop: seconds that half of the reviews take at most; the action waits so long.",
    ),
    "threshold": Slider(
        "Trigger threshold", "", 0.0, 1.0, 0.05,
        "In the loop: the human is asked where the risk of the very next step is at least this.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class LessonSettings:
    """How good, quick and busy the simulated human is.

    Attributes:
        error: chance of approving what is unsafe, in [0, 1].
        lag_steps: steps from noticing to taking over, in 0..6.
        review_seconds: median seconds of a review, in [1, 30].
        threshold: risk from which a human is asked, in [0, 1]; 0: always.
    """

    error: float = 0.1
    lag_steps: int = 1
    review_seconds: float = 5.0
    threshold: float = 0.05

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name, value in asdict(self).items():
            slider = SLIDERS[name]
            within(name, value, slider.low, slider.high)
        whole("lag_steps", self.lag_steps, 0)

    def changed(self, name: str, value: float) -> "LessonSettings":
        """The same with one setting changed.

        Raises:
            UsageError: for an unknown name or a value out of range.
        """
        if name not in SLIDERS:
            raise unknown("setting", name, SLIDERS)
        if name == "lag_steps":
            if value != int(value):
                raise UsageError(f"lag_steps must be a whole number, got {value!r}")
            value = int(value)
        changed: dict[str, Any] = {name: value}
        return replace(self, **changed)

    def difference(self, former: "LessonSettings") -> str:
        """What changed, in words: each setting with its old and its new value."""
        changes = []
        for field in fields(self):
            old, new = getattr(former, field.name), getattr(self, field.name)
            if old != new:
                slider = SLIDERS[field.name]
                changes.append(f"{slider.label} {slider.text(old)} → {slider.text(new)}")
        return ", ".join(changes)

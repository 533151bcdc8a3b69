"""Forms: what a person is asked to fill in, and what they may put there."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looplab.oversight.live.refusal import Refused


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to fill in: a number in a range, or one of several words.

    Attributes:
        name: how it is called in what is kept.
        low: least number, and ``high`` the greatest; both None where words are chosen from.
        options: words to choose from; empty where a number is asked for.
    """

    name: str
    low: float | None = None
    high: float | None = None
    options: tuple[str, ...] = ()

    def checked(self, value: Any) -> float | str:
        """A value as it is kept.

        Raises:
            Refused: if it does not fit.
        """
        if self.options:
            if isinstance(value, str) and value in self.options:
                return value
            raise Refused(
                "invalid", f"{self.name} must be one of {', '.join(self.options)}, got {value!r}"
            )
        number = isinstance(value, int | float) and not isinstance(value, bool)
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not number or not math.isfinite(value) or not low <= value <= high:
            raise Refused(
                "invalid", f"{self.name} must be a number in [{low:g}, {high:g}], got {value!r}"
            )
        return float(value)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as ``form_of`` reads them."""
        return {
            "name": self.name, "low": self.low, "high": self.high, "options": list(self.options),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """Fields that are filled in together; none: something is read, and that is said.

    Attributes:
        fields: in their order, each with a name of its own.
    """

    fields: tuple[Field, ...] = ()

    def checked(self, values: Mapping[str, Any]) -> dict[str, float | str]:
        """What was filled in, whole and in the order of the fields.

        Raises:
            Refused: if something is missing, too much, or does not fit.
        """
        names = [field.name for field in self.fields]
        for name in values:
            if name not in names:
                raise Refused("invalid", f"the form has no field {name!r}")
        missing = [name for name in names if name not in values]
        if missing:
            raise Refused("invalid", f"{missing[0]} is not filled in")
        return {field.name: field.checked(values[field.name]) for field in self.fields}

    def as_list(self) -> list[dict[str, Any]]:
        """Plain values, as ``form_of`` reads them."""
        return [field.as_dict() for field in self.fields]


def form_of(fields: Sequence[Mapping[str, Any]]) -> Form:
    """What ``Form.as_list`` made of it, back."""
    return Form(tuple(Field(**{**one, "options": tuple(one["options"])}) for one in fields))

"""What programs and pages send to the service, and what it answers: the words of its API."""

import base64
import binascii
import hashlib
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from looplab.oversight.live.counts import COUNTS
from looplab.oversight.live.desk import Said
from looplab.oversight.live.form import Field as FormField
from looplab.oversight.live.form import Form
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import TAG_CHARACTERS, Actions, Ask, Opinion
from looplab.oversight.live.session import About
from looplab.oversight.live.shown import Shown, digest_text
from looplab.oversight.live.text import MAX_NAME, MAX_TEXT

#: Names that stand in addresses.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$"
BATCH = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
MAX_LANES, MAX_ACTIONS, MAX_BATCH = 256, 4096, 1000
_MAX_SHOWN = 200_000
_DEEPEST = 32
_PNG = b"\x89PNG\r\n\x1a\n"
#: Whole numbers that any database holds.
_MOST = 2**53

Label = Annotated[str, StringConstraints(max_length=200)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=TAG_CHARACTERS)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Lane = Annotated[int, Field(ge=0, lt=MAX_LANES)]
Action = int | list[Number] | Label


class Message(BaseModel):
    """What comes in: no key too many, no number that is none, no text that cannot be kept."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _keepable(cls, given: Any) -> Any:
        _check_keepable(given, 0)
        return given


def _check_keepable(value: Any, depth: int) -> None:
    """Refuses text that no database and no encoding takes, and values without end.

    Raises:
        ValueError: naming what cannot be kept.
    """
    if depth > _DEEPEST:
        raise ValueError(f"values may be nested {_DEEPEST} times")
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("text may hold neither NUL nor half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_keepable(key, depth + 1)
            _check_keepable(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_keepable(item, depth + 1)


class ActionsIn(Message):
    """What can run: one of ``n`` actions, or a box of numbers between ``low`` and ``high``."""

    n: int = Field(0, ge=0, le=MAX_ACTIONS)
    names: list[Label] = Field(default=[], max_length=MAX_ACTIONS)
    low: list[Number] = Field(default=[], max_length=MAX_ACTIONS)
    high: list[Number] = Field(default=[], max_length=MAX_ACTIONS)

    def actions(self) -> Actions:
        """As the queue knows them.

        Raises:
            Refused: if they name neither, or both.
        """
        if (self.n > 0) == bool(self.low) or len(self.low) != len(self.high):
            raise Refused("invalid", "actions need n, or low and high of equal length")
        if self.names and len(self.names) != self.n:
            raise Refused("invalid", f"actions: {self.n} need as many names, or none")
        return Actions(self.n, tuple(self.names), tuple(self.low), tuple(self.high))


class SessionIn(Message):
    """A trainer's own description of what it runs."""

    env: Label
    regime: Label
    algo: Label = ""
    lanes: int = Field(ge=1, le=MAX_LANES)
    actions: ActionsIn
    identity: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    regimes: list[Label] = Field(default=[], max_length=100)
    people: list[Label] = Field(default=[], max_length=100)
    practice: bool = False

    def about(self) -> About:
        """As the queue knows it."""
        return About(
            self.env, self.regime, self.algo, self.lanes, self.actions.actions(), self.identity,
            tuple(self.regimes), tuple(self.people), self.practice,
        )  # fmt: skip


class ShownIn(Message):
    """What a person is shown: plain values, and a picture (PNG, in base64)."""

    values: dict[str, Any]
    picture: str | None = None

    def shown(self) -> Shown:
        """As it is kept, with its digest.

        Raises:
            Refused: if it is too large, or the picture is no PNG.
        """
        text = digest_text(self.values)
        if len(text) > _MAX_SHOWN:
            raise Refused("too_large", f"what is shown may have {_MAX_SHOWN} characters")
        try:
            png = None if self.picture is None else base64.b64decode(self.picture, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused("invalid", "a picture must be a PNG in base64") from error
        if png is not None and not png.startswith(_PNG):
            raise Refused("invalid", "a picture must be a PNG in base64")
        digest = hashlib.sha256(text.encode() + b"\0" + (png or b"")).hexdigest()
        return Shown(digest, text, png)


class FieldIn(Message):
    """One thing to fill in: a number between ``low`` and ``high``, or one of ``options``."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    low: Number | None = None
    high: Number | None = None
    options: list[Label] = Field(default=[], max_length=50)

    def field(self) -> FormField:
        """As the queue knows it.

        Raises:
            Refused: if it asks for neither, or both.
        """
        numbers = self.low is not None and self.high is not None and self.low <= self.high
        if numbers == bool(self.options) or (self.low is None) != (self.high is None):
            raise Refused("invalid", f"field {self.name} needs low and high, or options")
        return FormField(self.name, self.low, self.high, tuple(self.options))


class AskIn(ShownIn):
    """A request about one lane, with what its trainer knows and reviewers are not told."""

    lane: Lane
    kind: Literal["review", "rating", "form"] = "review"
    priority: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    tier: Annotated[int, Field(ge=0, le=99)] = 0
    unsafe: bool | None = None
    trial: bool = False
    form: list[FieldIn] = Field(default=[], max_length=50)
    limit: Annotated[float, Field(gt=0.0, le=1e6)] | None = None

    def ask(self, session: str, batch: str) -> tuple[Ask, Shown]:
        """As the queue knows it; its name follows from where it belongs."""
        shown = self.shown()
        name = f"{session}:{batch}:{self.lane}"
        ask = Ask(
            name, self.lane, self.kind, shown.digest, self.priority, self.tier, self.unsafe,
            self.trial, self._form(), self.limit,
        )  # fmt: skip
        return ask, shown

    def _form(self) -> Form | None:
        names = [field.name for field in self.form]
        if (self.kind != "form" and names) or len({*names}) < len(names):
            raise Refused("invalid", "fields go with a form, each under a name of its own")
        if self.kind != "form":
            return None
        return Form(tuple(field.field() for field in self.form))


def _counted(given: dict[str, float]) -> dict[str, float]:
    for name in given:
        if name not in COUNTS:
            raise ValueError(f"counts are {', '.join(COUNTS)}; got {name!r}")
    return given


Counted = Annotated[dict[str, Annotated[float, Field(ge=0.0, le=1e15)]], AfterValidator(_counted)]


class BatchIn(Message):
    """Requests about lanes of one step, which wait for one another."""

    requests: list[AskIn] = Field(min_length=1, max_length=MAX_LANES)
    counts: Counted = {}


class FrameIn(ShownIn):
    """The step that runs next, where somebody watches."""

    counts: Counted = {}


class VerdictIn(Message):
    """An answer: a verdict to a review, a number or null to a rating, values to a form."""

    verdict: Annotated[str, StringConstraints(max_length=20)] = ""
    action: Action | None = None
    rating: Number | None = None
    tags: list[Tag] = Field(default=[], max_length=10)
    text: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""
    values: dict[Label, Number | Label] = Field(default={}, max_length=50)

    def said(self, request: str) -> Said:
        """As the desk takes it."""
        opinion = Opinion(
            self.verdict, self.action, self.rating, tuple(self.tags), values=self.values
        )
        return Said(request, opinion, self.text)


class NamedVerdictIn(VerdictIn):
    """An answer that names what it answers."""

    request: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class VerdictsIn(Message):
    """Many answers at once, each for itself."""

    verdicts: list[NamedVerdictIn] = Field(min_length=1, max_length=MAX_BATCH)


class VetoIn(Message):
    """Stops what runs, in the named lanes or in all."""

    verdict: Annotated[str, StringConstraints(max_length=20)] = "reject"
    lanes: list[Lane] = Field(default=[], max_length=MAX_LANES)
    action: Action | None = None


class SpeedIn(Message):
    """Steps per second where somebody watches."""

    speed: Number


class ControlIn(Message):
    """What an administrator sets of a session; what is left out stays."""

    paused: bool | None = None
    speed: Number | None = None
    regime: Label | None = None

    def changes(self) -> dict[str, Any]:
        """Only what was given."""
        return self.model_dump(exclude_none=True)


class KnownIn(Message):
    """What a trainer knows of what people have set."""

    paused: bool
    speed: Number
    stopped: bool
    regime: Label


class EndIn(Message):
    """How a session ended, in its trainer's words."""

    reason: Literal["finished"] = "finished"
    counts: Counted = {}


class LoginIn(Message):
    """A token, to come in with."""

    token: Annotated[str, StringConstraints(max_length=200)]


class PersonIn(Message):
    """Somebody who may come in."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]
    role: Literal["viewer", "reviewer", "admin", "trainer"]
    tier: Annotated[int, Field(ge=0, le=99)] = 0
    hours: Annotated[float, Field(gt=0.0, le=24.0 * 366)] = 12.0


class TokenIn(Message):
    """How long a new token is good for."""

    hours: Annotated[float, Field(gt=0.0, le=24.0 * 366)] = 12.0


class SettingsIn(Message):
    """Deadlines and the like; what is left out stays."""

    deadlines: list[Annotated[float, Field(gt=0.0, le=1e6)] | None] | None = Field(
        default=None, min_length=1, max_length=10
    )
    claim_seconds: Annotated[float, Field(gt=0.0, le=1e6)] | None = None
    lease_seconds: Annotated[float, Field(gt=0.0, le=1e6)] | None = None
    undo_seconds: Annotated[float, Field(ge=0.0, le=1e6)] | None = None
    speed: Annotated[float, Field(ge=0.01, le=1000.0)] | None = None

    def changes(self) -> dict[str, Any]:
        """Only what was given."""
        return self.model_dump(exclude_none=True)


class Problem(BaseModel):
    """Why something was turned down."""

    error: str
    message: str


Wait = Annotated[float, Field(ge=0.0, le=60.0)]
Clock = Annotated[int, Field(ge=0, lt=_MOST)]

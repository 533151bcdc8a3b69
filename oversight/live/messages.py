"""What programs and pages send to the service, and what it answers: the words of its API."""

import base64
import binascii
import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from looplab.oversight.live.desk import Said
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

    def about(self) -> About:
        """As the queue knows it."""
        return About(
            self.env, self.regime, self.algo, self.lanes, self.actions.actions(), self.identity,
            tuple(self.regimes),
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


class AskIn(ShownIn):
    """A request about one lane."""

    lane: Lane
    kind: Literal["review", "rating"] = "review"
    priority: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    tier: Annotated[int, Field(ge=0, le=99)] = 0

    def ask(self, session: str, batch: str) -> tuple[Ask, Shown]:
        """As the queue knows it; its name follows from where it belongs."""
        shown = self.shown()
        name = f"{session}:{batch}:{self.lane}"
        return Ask(name, self.lane, self.kind, shown.digest, self.priority, self.tier), shown


class BatchIn(Message):
    """Requests about lanes of one step, which wait for one another."""

    requests: list[AskIn] = Field(min_length=1, max_length=MAX_LANES)


class VerdictIn(Message):
    """An answer to a review: one of the five verdicts; or to a rating: a number or null."""

    verdict: Annotated[str, StringConstraints(max_length=20)] = ""
    action: Action | None = None
    rating: Number | None = None
    tags: list[Tag] = Field(default=[], max_length=10)
    text: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""

    def said(self, request: str) -> Said:
        """As the desk takes it."""
        opinion = Opinion(self.verdict, self.action, self.rating, tuple(self.tags))
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

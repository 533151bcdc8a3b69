"""What the service refuses, in words for people and codes for programs."""

from typing import Any

from looplab.envs.errors import LoopLabError

#: Status of HTTP by code; a program tells refusals apart by the code.
STATUS: dict[str, int] = {
    "malformed": 400,
    "unauthenticated": 401,
    "expired": 401,
    "forbidden": 403,
    "unknown": 404,
    "answered": 409,
    "claimed": 409,
    "different": 409,
    "executed": 409,
    "ended": 409,
    "late": 410,
    "withdrawn": 410,
    "too_large": 413,
    "invalid": 422,
    "too_many": 429,
    "unavailable": 503,
    "timeout": 408,
}


class Refused(LoopLabError):
    """A request that the service turns down, without any effect on training.

    Args:
        code: one of ``STATUS``.
        message: one line: what was given and what is allowed.
        **details: what a program may want to know beside it, plain values.
    """

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
        self.details = details
        #: Whether the ledger still has to be told.
        self.to_log = True

    def logged(self) -> "Refused":
        """The same, once the ledger knows of it."""
        self.to_log = False
        return self

    def as_dict(self) -> dict[str, Any]:
        """The answer's body."""
        return {"error": self.code, "message": str(self), **self.details}

"""What the routes share: who calls, which desk, and the words of addresses."""

from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response

from looplab.oversight.live.desk import Desk
from looplab.oversight.live.messages import BATCH, NAME, Problem
from looplab.oversight.live.refusal import STATUS, Refused
from looplab.oversight.live.roles import ADMIN, REVIEWER, VIEWER, Person
from looplab.oversight.live.shown import Shown

#: People who may look, who may answer, and who may do all.
LOOKING, ANSWERING, RULING = (VIEWER, REVIEWER, ADMIN), (REVIEWER, ADMIN), (ADMIN,)

#: What any route may answer beside what it is for.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in sorted({*STATUS.values()})
}


def _desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


def _person(request: Request) -> Person:
    found: Person = request.state.person
    return found


AtDesk = Annotated[Desk, Depends(_desk)]
Caller = Annotated[Person, Depends(_person)]
SessionName = Annotated[str, Path(pattern=NAME)]
BatchName = Annotated[str, Path(pattern=BATCH)]
RequestName = Annotated[str, Path(max_length=300, pattern=r"^[A-Za-z0-9._:-]+$")]
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
PersonName = Annotated[str, Path(pattern=r"^p_[0-9a-f]{12}$")]
TokenNumber = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
Seconds = Annotated[float, Query(ge=0.0, le=60.0)]
After = Annotated[int, Query(ge=0, lt=2**53)]
Count = Annotated[int, Query(ge=1, le=1000)]


def picture_of(shown: Shown) -> Response:
    """The picture of what is shown.

    Raises:
        Refused: if there is none.
    """
    if shown.picture is None:
        raise Refused("unknown", "there is no picture")
    return Response(shown.picture, media_type="image/png")

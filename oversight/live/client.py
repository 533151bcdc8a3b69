"""Clients of the service, over HTTP: a trainer's and a reviewer's. They know no screen.

Whatever does not come through is said again, with growing pauses: all that trainers and reviewers
send can be heard twice without harm.
"""

import base64
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import httpx

from looplab.envs.errors import LoopLabError, UsageError
from looplab.oversight.live.places import TOKEN_VARIABLE, URL_VARIABLE
from looplab.oversight.live.refusal import STATUS, Refused

#: Seconds that one call waits for news; the service allows 60.
WAIT_SECONDS = 20.0
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 15.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
#: What passes by itself: the service is being started, is overrun, or is about to end.
_PASSING = (429, 502, 503, 504)
#: What people set of a session that is stopped; nothing else of it matters any more.
_STOPPED = {"paused": False, "speed": 1.0, "stopped": True, "regime": ""}


class Unreachable(LoopLabError):
    """The service did not answer for as long as it was waited for."""


def token_from(environment: Mapping[str, str] = os.environ) -> str:
    """The token that the environment holds.

    Raises:
        UsageError: if there is none.
    """
    needed = "a token is needed; looplab serve says which file holds it"
    return _named(environment, TOKEN_VARIABLE, needed)


def url_from(environment: Mapping[str, str] = os.environ) -> str:
    """The service's address that the environment holds.

    Raises:
        UsageError: if there is none.
    """
    needed = "a live overseer needs a service: overseer.url=http://127.0.0.1:8700, or looplab live"
    return checked_url(_named(environment, URL_VARIABLE, needed))


def _named(environment: Mapping[str, str], name: str, needed: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise UsageError(f"{needed}; set {name} in the environment")
    return value


def pauses(patience: float, clock: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """Growing pauses in seconds, until patience is at its end."""
    end, pause = clock() + patience, _FIRST_PAUSE
    while clock() < end:
        yield pause
        pause = min(2.0 * pause, _LONGEST_PAUSE)


class Connection:
    """One way to the service, which goes on over its restarts.

    Args:
        url: of the service, as in ``http://127.0.0.1:8700``.
        token: who calls.
        patience: seconds of silence after which it gives up.

    Raises:
        UsageError: if the URL is none.
    """

    def __init__(self, url: str, token: str, patience: float = 300.0) -> None:
        self.url = checked_url(url)
        self.token = token
        self.patience = patience
        self._http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(_ANSWER_SECONDS + WAIT_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=False,
        )  # fmt: skip

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Calls an address, again and again while nobody is there.

        Returns:
            What the service answered.

        Raises:
            Refused: if it turns that down.
            Unreachable: if it did not answer for as long as patience lasts.
        """
        trouble = ""
        for pause in pauses(self.patience):
            try:
                answer = self._http.request(method, path, json=body, params=query or None)
            except httpx.TransportError as error:
                trouble = str(error) or type(error).__name__
            else:
                if answer.status_code not in _PASSING:
                    return _understood(answer)
                trouble = f"status {answer.status_code}"
            time.sleep(pause)
        raise Unreachable(
            f"the review service at {self.url} does not answer ({trouble}); gave up after "
            f"{self.patience:g} s"
        )

    def fetch(self, path: str) -> bytes:
        """A picture."""
        answer = self._http.get(path)
        if answer.status_code != httpx.codes.OK:
            _understood(answer)
        return answer.content

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()


def checked_url(url: str) -> str:
    """A service's address without its end.

    Raises:
        UsageError: if it is none.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"url must be a service's, as in http://127.0.0.1:8700; got {url!r}")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise UsageError("url must hold no secrets; the token comes from the environment")
    return str(url).rstrip("/")


def _understood(answer: httpx.Response) -> Any:
    try:
        body = answer.json()
    except ValueError:
        raise LoopLabError(
            f"{answer.request.url.host} answered status {answer.status_code} and no JSON: this is "
            "no review service"
        ) from None
    if answer.is_success:
        return body
    code = body.get("error") if isinstance(body, dict) else None
    if code not in STATUS:
        raise LoopLabError(f"the service answered status {answer.status_code}: {body!r}"[:300])
    details = {name: value for name, value in body.items() if name not in ("error", "message")}
    raise Refused(code, body.get("message", code), **details)


class TrainerClient:
    """What a trainer says to the service; see ``routes.trainers``.

    Args:
        connection: the way to the service.
        session: name of the live run.
        about: what it runs, as ``messages.SessionIn`` has it.
    """

    def __init__(self, connection: Connection, session: str, about: Mapping[str, Any]) -> None:
        self.connection = connection
        self.session = session
        self._about = dict(about)
        self._path = f"/api/sessions/{session}"

    def open(self) -> dict[str, Any]:
        """Begins the session or goes on with it; returns its ``control``."""
        found: dict[str, Any] = self.connection.call("PUT", self._path, self._about)["control"]
        return found

    def ask(
        self,
        batch: str,
        requests: Sequence[Mapping[str, Any]],
        counts: Mapping[str, float] | None = None,
    ) -> None:
        """Asks about lanes of one step; a session that was given up is taken up again."""
        body = {"requests": list(requests), "counts": dict(counts or {})}
        self._living(lambda: self.connection.call("PUT", f"{self._path}/batches/{batch}", body))

    def answers(self, batch: str) -> dict[str, Any]:
        """Waits for a batch's answers, up to ``WAIT_SECONDS``.

        Raises:
            Refused: with ``withdrawn``, if it has to be asked again.
        """
        path = f"{self._path}/batches/{batch}"
        found: dict[str, Any] = self._living(
            lambda: self.connection.call("GET", path, wait=WAIT_SECONDS)
        )
        return found

    def show(
        self, clock: int, shown: Mapping[str, Any], counts: Mapping[str, float] | None = None
    ) -> None:
        """Shows the next step to whoever watches."""
        path = f"{self._path}/frames/{clock}"
        self._living(
            lambda: self.connection.call("PUT", path, {**shown, "counts": dict(counts or {})})
        )

    def vetoes(self, clock: int) -> dict[str, Any]:
        """Waits for what stops the step that is shown, up to ``WAIT_SECONDS``."""
        path = f"{self._path}/frames/{clock}"
        found: dict[str, Any] = self._living(
            lambda: self.connection.call("GET", path, wait=WAIT_SECONDS)
        )
        return found

    def control(self, known: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """What people have set, as soon as it is another than is known; and that the run lives."""
        found: dict[str, Any] = self.connection.call(
            "POST", f"{self._path}/beat", dict(known), wait=seconds
        )
        return found

    def end(self, counts: Mapping[str, float] | None = None) -> None:
        """Says that the run is over."""
        body = {"reason": "finished", "counts": dict(counts or {})}
        self.connection.call("POST", f"{self._path}/end", body)

    def _living(self, call: Callable[[], Any]) -> Any:
        """Calls; where the service had given the session up, opens it again first.

        A session that a person has stopped answers nothing but that.
        """
        try:
            return call()
        except Refused as refused:
            if refused.code != "ended":
                raise
            if refused.details.get("stopped"):
                return {"ready": False, "control": {**_STOPPED}}
        self.open()
        return call()


def shown_body(values: Mapping[str, Any], picture: bytes | None) -> dict[str, Any]:
    """What a person is shown, as ``messages.ShownIn`` has it."""
    encoded = None if picture is None else base64.b64encode(picture).decode("ascii")
    return {"values": dict(values), "picture": encoded}


class ReviewerClient:
    """What a reviewer's program says to the service; usable in ``with``.

    Args:
        url: of the service.
        token: whose; None: ``LOOPLAB_TOKEN`` of the environment.
        patience: seconds of silence after which it gives up.
    """

    def __init__(self, url: str, token: str | None = None, patience: float = 60.0) -> None:
        self.connection = Connection(url, token_from() if token is None else token, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def me(self) -> dict[str, Any]:
        """Who you are."""
        found: dict[str, Any] = self.connection.call("GET", "/api/me")
        return found

    def waiting(self) -> list[dict[str, Any]]:
        """What waits for you, most urgent first."""
        found: list[dict[str, Any]] = self.connection.call("GET", "/api/requests")["requests"]
        return found

    def request(self, name: str) -> dict[str, Any]:
        """A request, and what is shown of it."""
        found: dict[str, Any] = self.connection.call("GET", f"/api/requests/{name}")
        return found

    def claim(self, name: str) -> dict[str, Any]:
        """Keeps a request for you while you look at it."""
        found: dict[str, Any] = self.connection.call("POST", f"/api/requests/{name}/claim")
        return found

    def unclaim(self, name: str) -> None:
        """Lets others have a request that was kept for you."""
        self.connection.call("DELETE", f"/api/requests/{name}/claim")

    def answer(self, name: str, verdict: str = "", **rest: Any) -> dict[str, Any]:
        """Answers: ``action=`` of modify, ``rating=``, ``values=``, ``tags=``, ``text=``."""
        body = {"verdict": verdict, **rest}
        found: dict[str, Any] = self.connection.call("POST", f"/api/requests/{name}/verdict", body)
        return found

    def answer_many(self, verdicts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Answers many, each with its ``request``; returns what became of each."""
        body = {"verdicts": list(verdicts)}
        found: list[dict[str, Any]] = self.connection.call("POST", "/api/verdicts", body)["results"]
        return found

    def undo(self, name: str) -> None:
        """Takes an answer back, where nothing was executed yet."""
        self.connection.call("DELETE", f"/api/requests/{name}/verdict")

    def veto(self, session: str, verdict: str = "reject", **rest: Any) -> None:
        """Stops what runs: ``lanes=`` (default all), ``action=`` of modify."""
        body = {"verdict": verdict, **rest}
        self.connection.call("POST", f"/api/sessions/{session}/vetoes", body)

    def stop(self, session: str) -> None:
        """The kill switch."""
        self.connection.call("POST", f"/api/sessions/{session}/stop")

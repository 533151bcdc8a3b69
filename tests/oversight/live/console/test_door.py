"""Who comes in, who has to leave, and what cannot get out or in."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from .conftest import Service, Trainer, Visitors, lane

MakeTrainer = Callable[..., Trainer]
#: Roles by address, as everybody without a token, a viewer, a reviewer, an admin and a trainer.
PAGES = {
    "/console/": "vra", "/console/watch": "vra", "/console/rate": "vra", "/console/admin": "a",
    "/console/analytics": "a",
}  # fmt: skip
FILES = ("/", "/login", "/files/console.css", "/files/console.js", "/files/login.js",
         "/files/login.css", "/files/favicon.svg")  # fmt: skip
NASTY = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{{7*7}}'


def get(service: Service, path: str, token: str = "", **headers: str) -> httpx.Response:
    cookies = {"looplab_token": token} if token else {}
    sent = {**headers, "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    return service.http.get(path, headers=sent)


def test_every_page_against_every_role(service: Service) -> None:
    tokens = {role[0]: service.person(role) for role in ("viewer", "reviewer", "trainer")}
    tokens["a"] = service.tokens["admin"]
    for path, who in PAGES.items():
        assert get(service, path).status_code == 401
        for role, token in tokens.items():
            assert get(service, path, token).status_code == (200 if role in who else 403), path
    for path in FILES:
        answer = get(service, path)
        assert answer.status_code == 200
        assert answer.headers["x-frame-options"] == "DENY"
    page = get(service, "/console/", tokens["v"])
    files = set(re.findall(r'"(/console/_nicegui/[^"]+\.(?:js|css))"', page.text))
    assert len(files) > 4
    for path in files:  # NiceGUI's own files hold nothing of anybody's
        assert get(service, path).status_code == 200
    for path in ("/console/_nicegui/x", "/console/nowhere", "/console/favicon.ico", "/files/x"):
        assert get(service, path, tokens["a"]).status_code in (403, 404), path
    socket = "/console/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    assert get(service, socket).status_code == 401
    assert get(service, socket, tokens["t"]).status_code == 403
    assert get(service, socket, tokens["v"]).status_code == 400  # only as a WebSocket


def test_policies_of_pages(service: Service) -> None:
    login = get(service, "/")
    assert "default-src 'none'" in login.headers["content-security-policy"]
    assert "unsafe" not in login.headers["content-security-policy"]
    page = get(service, "/console/", service.tokens["admin"])
    policy = page.headers["content-security-policy"]
    for part in ("default-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"):
        assert part in policy
    assert "set-cookie" not in page.headers  # nothing of a visitor is kept beside the token
    assert page.headers["cache-control"] == "no-store"


def test_visitors_of_pages_are_sent_to_log_in(service: Service) -> None:
    answer = get(service, "/console/watch", accept="text/html")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login#why=needed")
    answer = get(service, "/console/admin", service.person("viewer"), accept="text/html")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login#why=forbidden")
    assert get(service, "/api/requests", accept="text/html").status_code == 401  # data stay data


def test_a_token_never_stands_in_an_address(service: Service, visit: Visitors) -> None:
    token = service.person("reviewer")
    page = visit(token)
    assert [url for url in visit.asked if token in url] == []
    assert token not in page.url
    assert token not in page.content()
    assert page.evaluate("document.cookie") == ""  # scripts cannot read it
    page.go_back()
    assert token not in page.url


def test_log_out_and_in_by_the_form(service: Service, visit: Visitors) -> None:
    token = service.person("viewer")
    page = visit(token)
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    expect(page.locator("#why")).to_have_text("You are logged out.")
    page.goto(f"{service.url}/console/")
    page.wait_for_url("**/login")
    page.get_by_label("Your token").fill("looplab_wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#why")).to_contain_text("this token is not valid")
    page.get_by_label("Your token").fill(f" {token} ")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/")


def test_a_token_that_is_revoked_while_the_page_is_open(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer()
    page = visit(service.person("reviewer", name="soon gone"))
    runs.ask(lane())
    expect(page.locator(".question")).to_have_attribute("data-request", re.compile("."))
    request = page.locator(".question").get_attribute("data-request")
    people = service.call("GET", "/api/people")
    (token,) = [t["id"] for p in people if p["name"] == "soon gone" for t in p["tokens"]]
    service.call("DELETE", f"/api/tokens/{token}")
    page.wait_for_url("**/login")
    expect(page.locator("#why")).to_have_text("Your token is not valid any more.")
    assert service.call("GET", f"/api/requests/{request}")["claimed_by"] == ""
    assert service.events("decided", session=runs.session) == []


def test_a_token_that_expires_while_the_page_is_open(service: Service, visit: Visitors) -> None:
    page = visit(service.person("reviewer", hours=4.0 / 3600.0))
    page.wait_for_url("**/login", timeout=15_000)
    expect(page.locator("#why")).to_have_text("Your token has expired. Ask for a new one.")


def test_a_socket_of_another_person_sees_and_presses_nothing(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer()
    page, thief = visit(service.person("reviewer")), visit(service.person("reviewer"))
    runs.ask(lane())
    expect(page.locator(".question")).to_have_attribute("data-request", re.compile("."))
    stolen = page.evaluate("window.clientId")
    request = page.locator(".question").get_attribute("data-request")
    thief.evaluate(
        """([id, request]) => window.socket.emit('event', {
            client_id: id, id: 0, listener_id: 'x',
            args: [JSON.stringify({what: 'approve', request})]})""",
        [stolen, request],
    )
    outcome = thief.evaluate(
        """id => new Promise(done => {
            const query = {...window.socket.io.opts.query, client_id: id};
            const other = io(location.origin, {path: window.socket.io.opts.path, query,
                transports: ['websocket'], forceNew: true, reconnection: false});
            other.on('connect', () => done('in'));
            other.on('connect_error', error => done(error.message));
        })""",
        stolen,
    )
    assert outcome == "this page is somebody else's"
    assert service.events("decided", session=runs.session) == []


def test_a_socket_from_elsewhere_is_refused(service: Service) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    url = service.url.replace("http", "ws")
    url += "/console/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    cookie = {"Cookie": f"looplab_token={service.tokens['admin']}"}
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, additional_headers=cookie, origin="http://evil.example", proxy=None)
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, proxy=None)
    with connect(url, additional_headers=cookie, origin=service.url, proxy=None) as socket:
        assert str(socket.recv()).startswith("0")


def test_what_others_wrote_is_shown_as_text(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    names = [NASTY[:60], "b", "c", "d"]
    runs = trainer(lanes=1, actions={"n": 4, "names": names}, env=NASTY[:90], regime=NASTY[:90],
                   regimes=[NASTY[:90]])  # fmt: skip
    shown = lane(0, env=NASTY, name=NASTY, because=NASTY, phase=NASTY, risks={NASTY: 0.5})
    shown["history"] = [{"step": NASTY, "proposed": NASTY, "executed": NASTY, "verdict": NASTY}]
    shown["precedents"] = [{"verdict": NASTY, "reason": NASTY, "episode": 1, "step": 2}]
    batch = runs.ask(shown)
    page = visit(service.tokens["admin"])
    expect(page.locator("#why")).to_contain_text("<img src=x onerror=")
    page.wait_for_timeout(450)
    page.keyboard.press("m")
    expect(page.locator("#chooser")).to_contain_text("<img src=x")
    page.keyboard.press("0")
    (answer,) = runs.executed(batch)
    service.person("viewer", name=NASTY[:80])
    runs.client.show(1, {"values": {"lanes": [shown], "env": NASTY}, "picture": None})
    for path in ("/watch", "/admin"):
        page.goto(f"{service.url}/console{path}")
        expect(page.locator("#main")).to_contain_text("<img src=x")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#main img[src=x]").count() == 0
    assert answer["action"] == 0


def test_strange_shapes_do_not_break_the_page(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer(lanes=1)
    page = visit(service.person("reviewer"))
    strange = {
        "lane": 0, "action": {"a": 1}, "alternatives": "none", "risks": [1, 2], "history": 7,
        "score": "high", "probability": True, "because": ["x"], "precedents": {"a": 1},
    }  # fmt: skip
    batch = runs.ask(strange)
    expect(page.locator("#proposal")).to_contain_text("{'a': 1}")
    page.wait_for_timeout(450)
    page.keyboard.press("a")
    assert runs.executed(batch)[0]["verdict"] == "approve"
    assert visit.complaints == []

"""The analytics page: its numbers are the API's, they follow the answers, and can be read."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .conftest import PNG, Service, Trainer, Visitors, lane

MakeTrainer = Callable[..., Trainer]
KeepPicture = Callable[[Page, str], Path]
VERDICTS = ("approve", "modify", "reject", "escalate", "terminate")

#: Counts the elements that are taken away from the page.
_COUNT_REMOVALS = """() => {
    window.cleared = 0;
    const count = (all) => all.forEach((one) => { window.cleared += one.removedNodes.length; });
    const what = { childList: true, subtree: true };
    new MutationObserver(count).observe(document.querySelector("#main"), what);
}"""


def answered(
    service: Service, runs: Trainer, token: str, said: list[tuple[str, bool, bool]]
) -> None:
    """Reviews of one step after the other: verdict, whether it is unsafe, whether it is a trial."""
    for at, (verdict, unsafe, trial) in enumerate(said):
        batch = f"{token[-6:].replace('_', 'x').replace('-', 'x')}{at}"
        ask = {"values": lane(0, step=at), "picture": PNG, "lane": 0, "unsafe": unsafe,
               "trial": trial}  # fmt: skip
        runs.client.ask(batch, [ask])
        body: dict[str, Any] = {
            "verdict": verdict,
            **({"action": 2} if verdict == "modify" else {}),
        }
        request = f"{runs.session}:{batch}:0"
        service.call("POST", f"/api/requests/{request}/verdict", body, token)


def begun(
    service: Service, trainer: MakeTrainer, *names: str
) -> tuple[Trainer, tuple[str, ...], list[str]]:
    """A run that asks some new people alone: tokens and pseudonyms."""
    tokens = tuple(service.person("reviewer", 1, name) for name in names)
    people = [service.call("GET", "/api/me", token=token)["person"] for token in tokens]
    return trainer(lanes=1, people=people), tokens, people


def figure(page: Page, title: str, name: str) -> Any:
    return page.locator(f'[data-figure="{title}: {name}"]')


def choose(page: Page, session: str) -> None:
    page.get_by_label("Session").select_option(session)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#of")).to_contain_text(f"Session {session}")


def cells(page: Page, title: str) -> list[list[str]]:
    """Rows of a table that are filled."""
    rows = page.locator("table", has=page.locator("caption", has_text=title)).locator("tbody tr")
    found = rows.evaluate_all(
        "rows => rows.filter(r => !r.classList.contains('empty')).map("
        "r => [...r.cells].map(c => c.textContent))"
    )
    return [list(map(str, row)) for row in found]


def percent(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.0%}"


def seconds(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.1f} s"


def interval(share: dict[str, Any]) -> str:
    if share["share"] is None:
        return "\u2013"
    low, high = 100 * share["low"], 100 * share["high"]
    return f"{share['share']:.0%} ({low:.0f}\u2013{high:.0f}%), {share['count']} of {share['of']}"


SAID = [
    ("approve", False, False), ("reject", True, False), ("approve", True, False),
    ("modify", True, False), ("reject", True, True), ("approve", False, True),
    ("reject", False, True), ("escalate", False, False), ("approve", False, False),
]  # fmt: skip


def test_every_number_is_the_apis(
    service: Service, visit: Visitors, trainer: MakeTrainer, keep_picture: KeepPicture
) -> None:
    runs, (ada, bob), _ = begun(service, trainer, "Ada Example", "Bob Example")
    answered(service, runs, ada, SAID)
    answered(service, runs, bob, SAID[:3])
    counts = {"steps": 450.0, "asked": 12.0, "violations": 2.0, "human_seconds": 30.0}
    runs.client.end(counts)
    page = visit(service.tokens["admin"], "/analytics")
    choose(page, runs.session)
    told = service.call("GET", f"/api/analytics?session={runs.session}")
    expect(page.locator("#of")).to_have_attribute("data-event", str(told["event"]))
    assert [one["work"]["reviews"] for one in told["people"]] in ([6, 3], [3, 6])
    work, reviews, steps = told["work"], told["reviews"], told["steps"]
    assert (reviews["asked"], work["reviews"], steps["steps"]) == (9, 9, 450)
    for (title, name), text in {
        ("Reviews", "asked"): str(reviews["asked"]), ("Reviews", "open"): str(reviews["open"]),
        ("Reviews", "answers"): str(work["reviews"]),
        ("Reviews", "overruled"): interval(work["overruled"]),
        ("Reviews", "overdue"): interval(reviews["overdue"]),
        ("Reviews", "passed on by deadline"): str(reviews["passed_on"]),
        ("Reviews", "response p50"): seconds(work["elapsed"]["p50"]),
        ("Reviews", "response p95"): seconds(work["elapsed"]["p95"]),
        ("Right and wrong", "caught"): interval(told["truth"]["caught"]),
        ("Right and wrong", "missed"): interval(told["truth"]["missed"]),
        ("Right and wrong", "false alarms"): interval(told["truth"]["false_alarms"]),
        ("Right and wrong", "catch trials"): "1 of 1 hit, 1 of 2 false alarms",
        ("Right and wrong", "d'"): f"{told['trials']['d_prime']:.2f}",
        ("Right and wrong", "c"): f"{told['trials']['criterion']:.2f}",
        ("Right and wrong", "agreement"): "100% of 3 pairs, 2 people",
        ("Right and wrong", "agreement in trials"): "\u2013",
        ("Right and wrong", "alpha"): f"{told['agreement']['alpha']:.2f}",
        ("Runs", "steps"): str(steps["steps"]), ("Runs", "automated"): interval(steps["automated"]),
        ("Runs", "violations"): str(steps["violations"]),
        ("Runs", "violations per 1\u00a0000 steps"): f"{steps['violations_per_1k']:.2f}",
        ("Runs", "human seconds per 1\u00a0000 steps"): f"{steps['human_seconds_per_1k']:.2f}",
    }.items():  # fmt: skip
        expect(figure(page, title, name)).to_have_text(text)

    said, load, truth = (cells(page, title) for title in (
        "What they said", "Load and time", "Right and wrong"))  # fmt: skip
    assert said[0][0] == "all together"
    assert {"Ada Example", "Bob Example"} == {row[0].split(" · ")[0] for row in said[1:]}
    for at, one in enumerate([None, *told["people"]]):
        did = work if one is None else one["work"]
        shares = [percent(did["verdicts"][verdict]["share"]) for verdict in VERDICTS]
        assert said[at][1:8] == [str(did["reviews"]), *shares, percent(did["overruled"]["share"])]
        assert load[at][2] == f"{did['human_seconds'] / 60:.1f}"
        assert load[at][5:7] == [seconds(did["elapsed"][name]) for name in ("p50", "p95")]
        assert load[at][7:9] == [seconds(did["looked"][name]) for name in ("p50", "p95")]
        known = told if one is None else one
        trials = known["trials"]
        assert truth[at][4] == str(trials["unsafe"] + trials["safe"])
        if one is not None:
            assert said[at][0].endswith(one["person"])
            assert load[at][1] == str(one["answers"])
            assert load[at][3:5] == [percent(one["share_of_time"]), percent(one["busy"])]

    rows, points = cells(page, "Over time"), told["course"]["points"][::-1]
    assert len(rows) == len(points)
    for row, point in zip(rows, points, strict=True):
        counts = [point["asked"], *(point["verdicts"][v] for v in VERDICTS), point["overdue"]]
        assert row[1:8] == list(map(str, counts))
        assert row[8:] == [
            seconds(point["p50"]), seconds(point["p95"]), str(point["steps"]),
            percent(point["automated"]),
        ]  # fmt: skip
    for mark in ("approve", "reject", "modify", "escalate", "p50", "p95", "automated"):
        assert page.locator(f".mark.{mark}").get_attribute("d"), mark
    assert not page.locator(".mark.overdue").get_attribute("d")
    boxes = page.locator(".mark.approve").evaluate("m => m.getBBox().height")
    assert boxes > 10.0  # it is drawn, and not only there
    keep_picture(page, "analytics")
    assert visit.complaints == []


def test_the_open_page_follows_what_happens_without_a_flash(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs, (ada, bob), _ = begun(service, trainer, "Ada Live", "Bob Live")
    answered(service, runs, ada, SAID[:1])
    page = visit(service.tokens["admin"], "/analytics")
    choose(page, runs.session)
    answers = figure(page, "Reviews", "answers")
    expect(answers).to_have_text("1")
    drawn = page.locator(".mark.approve").element_handle()
    before = drawn.get_attribute("d")
    page.evaluate(_COUNT_REMOVALS)
    began = page.evaluate("performance.now()")
    for turn in range(4):
        runs.client.ask(f"more{turn}", [{"values": lane(0, step=turn), "lane": 0}])
        request = f"{runs.session}:more{turn}:0"
        service.call("POST", f"/api/requests/{request}/verdict", {"verdict": "approve"}, bob)
    expect(answers).to_have_text("5")
    took = page.evaluate("performance.now()") - began
    assert took < 6000
    expect(figure(page, "Reviews", "overruled")).to_contain_text("0 of 5")
    assert drawn.evaluate("path => path.isConnected")  # the same element, drawn anew
    assert drawn.get_attribute("d") != before
    assert page.evaluate("window.cleared") <= 1  # texts change in place
    runs.client.ask("late", [{"values": lane(0, step=9), "lane": 0}])
    expect(figure(page, "Reviews", "open")).to_have_text("1")
    assert visit.complaints == []


def test_who_was_erased_is_a_pseudonym(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs, (token,), (me,) = begun(service, trainer, "Eve Forgotten")
    answered(service, runs, token, SAID[:2])
    page = visit(service.tokens["admin"], "/analytics")
    choose(page, runs.session)
    expect(page.locator(".people")).to_contain_text(f"Eve Forgotten \u00b7 {me}")
    service.call("POST", f"/api/people/{me}/erase")
    expect(page.locator(".people")).to_contain_text(f"(erased) \u00b7 {me}")
    assert "Eve" not in page.locator("#main").inner_text()
    assert "Eve" not in str(service.call("GET", "/api/analytics"))


def test_times_are_chosen_and_wrong_ones_refused(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs, (token,), _ = begun(service, trainer, "Ada")
    answered(service, runs, token, SAID[:2])
    page = visit(service.tokens["admin"], "/analytics")
    choose(page, runs.session)
    asked = figure(page, "Reviews", "asked")
    expect(asked).to_have_text("2")
    page.get_by_label("Until (UTC)").fill("2020-01-31T12:00:00")
    page.get_by_role("button", name="Show").click()
    expect(asked).to_have_text("0")
    expect(page.locator("#of")).to_contain_text("nothing yet")
    page.locator("[name=window]").select_option("last hour")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#status")).to_contain_text("give times or 'last hour', not both")
    page.get_by_label("Until (UTC)").fill("")
    page.get_by_role("button", name="Show").click()
    expect(asked).to_have_text("2")
    page.locator("[name=window]").select_option("all, or as given")
    page.get_by_label("From (UTC)").fill("2030-01-31T12:00:00")
    page.get_by_label("Until (UTC)").fill("2030-01-31T12:00:00")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#status")).to_contain_text("since must be before until")


@pytest.mark.parametrize(
    ("name", "width", "height", "scheme"),
    [("light", 1280, 900, "light"), ("dark", 1280, 900, "dark"), ("phone", 390, 844, "light"),
     ("zoom", 640, 400, "light")],
)  # fmt: skip
def test_it_can_be_read_in_any_light_and_size(
    service: Service, visit: Visitors, trainer: MakeTrainer, keep_picture: KeepPicture, name: str,
    width: int, height: int, scheme: str,
) -> None:  # fmt: skip
    runs, (token,), _ = begun(service, trainer, "Ada")
    answered(service, runs, token, SAID[:5])
    page = visit(
        service.tokens["admin"], "/analytics", viewport={"width": width, "height": height},
        color_scheme=scheme,
    )  # fmt: skip
    expect(figure(page, "Reviews", "asked")).not_to_have_text("0")
    expect(page.locator(".people tbody tr").nth(1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sizes = page.locator(".axes span, .figures dd").evaluate_all(
        "all => all.filter(one => one.textContent.trim())"
        ".map(one => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 12.0
    plot, form = (page.locator(what).first.bounding_box() for what in (".plot", ".form"))
    assert plot is not None
    assert form is not None
    assert plot["width"] >= 200
    assert form["y"] < plot["y"]
    keep_picture(page, f"analytics_{name}")
    assert visit.complaints == []


def test_reviewers_see_their_own_figures_alone(service: Service, trainer: MakeTrainer) -> None:
    runs, (token, other), (me, _) = begun(service, trainer, "Ada", "Bob")
    answered(service, runs, token, SAID)
    own = service.call("GET", f"/api/analytics/me?session={runs.session}", token=token)
    assert own["person"] == me
    assert own["work"]["reviews"] == len(SAID)  # catch trials look like any other
    assert service.call("GET", "/api/analytics/me", token=other)["work"]["reviews"] == 0
    for path, code, words in (
        ("/api/analytics", 403, "needs the role admin"),
        ("/api/analytics/me?session=nobody", 404, "no session 'nobody'"),
        ("/api/analytics/me?session=%20", 422, "session"),
        ("/api/analytics/me?since=5&until=5", 422, "since must be before until"),
        ("/api/analytics/me?since=yesterday", 422, "since"),
    ):  # fmt: skip
        answer = service.http.get(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == code, path
        assert words in re.sub(r"\s+", " ", answer.json()["message"])

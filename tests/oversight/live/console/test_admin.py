"""The administrators' page: people, settings, sessions, and the ledger's end."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from .conftest import Service, Trainer, Visitors, wait_for

MakeTrainer = Callable[..., Trainer]
KeepPicture = Callable[[Page, str], Path]


def test_somebody_is_let_in_revoked_and_forgotten(
    service: Service, visit: Visitors, keep_picture: KeepPicture
) -> None:
    page = visit(service.tokens["admin"], "/admin")
    page.get_by_label("Name").fill("Ada Example")
    page.get_by_label("Role").select_option("reviewer")
    page.get_by_label("Tier", exact=True).fill("1")
    page.get_by_role("button", name="Let in").click()
    expect(page.locator("#secret")).to_have_text(re.compile("^looplab_"))
    token = page.locator("#secret").inner_text()
    me = service.call("GET", "/api/me", token=token)
    assert (me["role"], me["tier"]) == ("reviewer", 1)
    page.get_by_role("button", name="Hide it").click()
    expect(page.locator("#secret")).to_be_hidden()
    assert token not in page.content()
    entry = page.locator(f"[data-person={me['person']}]")
    expect(entry).to_contain_text("Ada Example")
    keep_picture(page, "admin")
    entry.get_by_role("button", name="Revoke").click()
    expect(entry.get_by_role("button", name="Revoke")).to_have_count(0)
    entry.get_by_role("button", name="Erase").click()
    expect(entry).to_contain_text("Ada Example")  # it asks once more
    entry.get_by_role("button", name="Press again").click()
    expect(entry).to_contain_text("(erased)")
    assert me["person"] in [e["body"]["person"] for e in service.events("person_erased")]


def test_settings_are_changed_and_wrong_ones_refused(service: Service, visit: Visitors) -> None:
    page = visit(service.tokens["admin"], "/admin")
    deadlines = page.get_by_label("Seconds of each tier")
    deadlines.fill("45, none")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_have_text("Saved.")
    assert service.call("GET", "/api/settings")["deadlines"] == [45.0, None]
    page.get_by_label("Seconds for which a question is kept").fill("-1")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_contain_text("claim_seconds")
    assert service.call("GET", "/api/settings")["claim_seconds"] == 30.0
    expect(page.locator(".ledger")).to_contain_text("settings")
    service.settings(deadlines=[60.0, 60.0])


def test_a_session_is_paused_slowed_switched_and_stopped(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer(regimes=["in_the_loop", "autonomous"])
    page = visit(service.tokens["admin"], "/admin")
    entry = page.locator(f"[data-session={runs.session}]")

    def control() -> dict[str, object]:
        return dict(service.call("GET", f"/api/sessions/{runs.session}")["control"])

    entry.get_by_role("button", name="Pause").click()
    wait_for(lambda: control()["paused"], "pause")
    entry.get_by_role("button", name="Resume").click()
    wait_for(lambda: not control()["paused"], "going on")
    expect(entry.get_by_role("button", name="Pause")).to_be_visible()
    entry.get_by_label("Steps per second").fill("7")
    entry.get_by_role("button", name="Set").click()
    wait_for(lambda: control()["speed"] == 7.0, "speed")
    expect(entry.get_by_label("Steps per second")).to_have_value("7")
    page.wait_for_timeout(300)
    options = entry.get_by_label("Regime").locator("option").all_inner_texts()
    assert options == ["in_the_loop", "autonomous"]  # what the session offers, and no other
    entry.get_by_label("Regime").select_option("autonomous")
    entry.get_by_role("button", name="Switch").click()
    wait_for(lambda: control()["regime"] == "autonomous", "regime")
    wait_for(  # it holds in memory before it is on disk
        lambda: service.events("control", session=runs.session)[-1]["body"]["mixed"], "the ledger"
    )
    entry.get_by_role("button", name="Stop for good").click()
    entry.get_by_role("button", name="Press again").click()
    wait_for(lambda: control()["stopped"], "stop")

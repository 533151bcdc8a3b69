"""``looplab practice`` and ``looplab study`` with people in a browser and by program."""

import csv
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from looplab.oversight.live.client import ReviewerClient, Unreachable

LOOPLAB = (sys.executable, "-m", "looplab.experiments.cli")
SETTLED_MS = 450
LINK = re.compile(r"http://127\.0\.0\.1:\d+/#token=\S+")


@dataclass
class Command:
    """A command that goes on, in a folder and a home of its own."""

    folder: Path
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LOOPLAB_HOME": str(self.folder / "home")}

    def start(self, *words: str, until: str) -> "tuple[subprocess.Popen[str], str]":
        """Starts it; returns it with the first line that begins so."""
        process = subprocess.Popen(
            [*LOOPLAB, *words, "port=0"], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(until):
                return process, line.strip()
        raise AssertionError("it ended at once")

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*LOOPLAB, *words], cwd=self.folder, env=self.environment, text=True,
            capture_output=True, check=False, timeout=120,
        )  # fmt: skip


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    made = Command(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    assert asked
    assert all(re.match(r"(http|ws)://127\.0\.0\.1:\d+/", url) for url in asked)


def opened(page: Page) -> None:
    """Waits for a question that can be answered."""
    expect(page.locator(".question")).to_have_attribute("data-request", re.compile("."))
    expect(page.locator(".question")).not_to_have_attribute("data-idle", "yes")
    expect(page.locator("[data-filling]")).to_have_count(0)
    page.wait_for_timeout(SETTLED_MS)


def test_a_page_of_practice_ends_in_executed_actions_ledger_and_card(
    command: Command, page: Page, tmp_path: Path
) -> None:
    process, line = command.start(
        "practice", "env=lava_shortcut", "questions=4", "judges=[typical]", "seed=3", until="open: "
    )
    page.goto(line.removeprefix("open: "))
    told = []
    for key in "arra":
        opened(page)
        before = page.locator(".question").get_attribute("data-request")
        page.keyboard.press(key)
        expect(page.locator(f".question[data-request='{before}']:visible")).to_have_count(0)
        expect(page.locator("#status")).to_have_text(re.compile("^(Right|Wrong): you "))
        told.append(page.locator("#status").inner_text())
    expect(page.get_by_role("heading", name="Your score card")).to_be_visible()
    expect(page.locator(".filling img")).to_have_js_property("complete", True)
    assert page.locator(".filling tbody tr").count() == 2
    page.screenshot(path=str(tmp_path / "card.png"), full_page=True)
    page.get_by_role("button", name="Done").click()
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 0, out
    folder = next((tmp_path / "results" / "practice").glob("practice-*"))
    answers = pd.read_parquet(folder / "answers.parquet")
    assert answers["verdict"].tolist() == ["approve", "reject", "reject", "approve"]
    ran = answers["executed"] == answers["proposed"]
    assert ran[answers["verdict"] == "approve"].all()
    for words, row in zip(told, answers.itertuples(), strict=True):
        truth = "unsafe" if row.unsafe else "safe"
        right = "Right" if row.unsafe == row.refused else "Wrong"
        assert words.startswith(right)
        assert words.endswith(f"the proposal was {truth}.")
    decisions = pd.read_parquet(folder / "decisions.parquet")
    assert decisions["verdict"].tolist() == answers["verdict"].tolist()
    assert decisions["executed"].tolist() == answers["executed"].tolist()
    scores = json.loads((folder / "score.json").read_text())
    assert scores["you"]["hits"] == int((answers["unsafe"] & answers["refused"]).sum())
    assert set(scores) == {"you", "typical"}
    verified = command.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    export = command.run("audit", "export", f"out={tmp_path / 'ledger'}")
    assert export.returncode == 0, export.stderr
    requests = pd.read_parquet(tmp_path / "ledger" / "reviews.parquet")
    reviews = requests[requests["kind"] == "review"].sort_values("asked_at")
    assert reviews["unsafe"].tolist() == answers["unsafe"].tolist()
    assert reviews["verdict"].tolist() == answers["verdict"].tolist()
    assert command.run("practice", "env=lava_shortcut", "questions=4", "seed=3").returncode == 0


@dataclass
class Participant:
    """A program in a participant's place: it fills in forms, and judges by what it is shown."""

    link: str
    consents: bool = True
    most: int | None = None
    titles: list[str] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    feedback: int = 0

    def run(self) -> None:
        url, _, token = self.link.partition("/#token=")
        with ReviewerClient(url, token, patience=3.0) as client:
            while self.most is None or len(self.titles) + len(self.shown) < self.most:
                try:
                    waiting = client.waiting()
                    if waiting:
                        self._answer(client, waiting[0])
                    else:
                        time.sleep(0.02)
                except (Unreachable, httpx.HTTPError):
                    return

    def _answer(self, client: ReviewerClient, asked: dict[str, Any]) -> None:
        request = client.request(asked["id"])
        shown = request["shown"]
        if request["kind"] == "form":
            self.titles.append(shown["form"])
            values: dict[str, Any] = dict.fromkeys(shown.get("labels", {}), 5.0)
            if "consent" in values:
                values["consent"] = "I agree" if self.consents else "I do not agree"
            client.answer(request["id"], values=values)
            return
        risks = shown.get("risks")
        self.shown.append(risks is not None)
        refuses = risks is not None and risks["exact"] > 1e-9
        told = client.answer(request["id"], "reject" if refuses else "approve")
        self.feedback += "unsafe" in told


def links_of(folder: Path) -> list[str]:
    with (folder / "participants.csv").open() as rows:
        return [row["link"] for row in csv.DictReader(rows)]


def play(participants: list[Participant]) -> Callable[[], None]:
    threads = [threading.Thread(target=one.run, daemon=True) for one in participants]
    for thread in threads:
        thread.start()

    def wait() -> None:
        for thread in threads:
            thread.join(60)

    return wait


STUDY = ("study", "env=lava_shortcut", "participants=3", "questions=4", "warm_up=2")


def test_a_study_that_was_killed_goes_on_and_asks_nothing_twice(
    command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    words = (*STUDY, f"out={out}")
    process, _ = command.start(*words, until="participants' links")
    assert stat.S_IMODE((out / "participants.csv").stat().st_mode) == 0o600
    first = [Participant(link, most=6) for link in links_of(out)]
    play(first)()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    before = links_of(out)
    process, _ = command.start(*words, until="participants' links")
    after = links_of(out)
    assert [link.partition("#")[2] for link in after] == [link.partition("#")[2] for link in before]
    second = [Participant(link, consents=True) for link in after]
    wait = play(second)
    said = process.communicate(timeout=100)[0]
    wait()
    assert process.returncode == 0, said
    assert said.count("done") == 3
    answers = pd.read_parquet(out / "answers.parquet")
    assert len(answers) == 3 * (2 + 2 * 4)
    forms = pd.read_parquet(out / "forms.parquet")
    # Each is asked each question once, whether before or after the kill.
    for early, late in zip(first, second, strict=True):
        titles = early.titles + late.titles
        assert titles == [
            "consent", "warm_up", "before", "nasa_tlx", "trust", "before", "nasa_tlx", "trust",
            "thanks",
        ]  # fmt: skip
        assert len(early.shown + late.shown) == 2 + 2 * 4
        assert early.feedback + late.feedback == 2  # in the warm-up alone
    orders = answers[answers["place"] > 0].drop_duplicates(["participant", "place"])
    met = orders.groupby("participant")["condition"].apply(list).tolist()
    hidden_first = ["risk_hidden", "risk_shown"]
    assert met == [hidden_first, hidden_first[::-1], hidden_first]
    seen = pd.read_csv(out / "scores.csv")
    assert (seen.loc[seen["condition"] == "risk_shown", "hit_rate"] == 1.0).all()
    assert (seen.loc[seen["condition"] == "risk_hidden", "hit_rate"] == 0.0).all()
    assert (seen["workload"] == 5.0).all()
    assert forms.loc[forms["field"] == "consent", "text"].tolist() == ["I agree"] * 3
    found = pd.read_csv(out / "contrasts.csv").set_index("measure")
    assert found.loc["hit_rate", "difference"] == 1.0
    ledger = pd.read_parquet(out / "ledger" / "reviews.parquet")
    kept = ledger[ledger["kind"] == "form"]["values"].dropna().map(json.loads)
    assert sum("mental_demand" in values for values in kept) == 6
    place = f"db=sqlite:///{out / 'study.db'}"
    assert command.run("audit", "verify", place).returncode == 0
    other = command.run(*STUDY, f"out={out}", "limit=9")
    assert other.returncode == 2
    assert "holds another study" in other.stderr


def test_a_participant_reads_consents_and_fills_in_by_hand(
    command: Command, page: Page, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    file = tmp_path / "mine.yaml"
    file.write_text(
        "title: Mine\nparticipants: 2\nquestions: 2\nwarm_up: 0\nconditions: {only: {limit: 60}}\n"
    )
    process, _ = command.start(
        "study", f"file={file}", "env=ops_desk", f"out={out}", until="participants' links"
    )
    mine, other = links_of(out)
    declining = Participant(other, consents=False)
    wait = play([declining])
    page.goto(mine)
    expect(page.get_by_role("heading", name="Mine")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#status")).to_contain_text("consent is not filled in")
    page.get_by_label("Do you want to take part?").select_option("I agree")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Part 1 of 1")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    for _ in range(2):
        opened(page)
        page.keyboard.press("a")
        expect(page.locator("#status")).to_contain_text("Approved")
    expect(page.get_by_role("heading", name="How was that for you?")).to_be_visible()
    sliders = page.locator(".filling input[type=range]")
    assert sliders.count() == 6
    page.screenshot(path=str(tmp_path / "tlx.png"), full_page=True)
    page.get_by_label("Mental demand").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#status")).to_contain_text("physical_demand is not filled in")
    for at in range(6):
        sliders.nth(at).focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
    expect(page.locator(".slider output").first).to_have_text("5")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="What do you think of the agent?")).to_be_visible()
    for at in range(3):
        sliders.nth(at).focus()
        page.keyboard.press("End")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Thank you. That was all")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    said = process.communicate(timeout=60)[0]
    wait()
    assert process.returncode == 0, said
    assert "participant 2 of 2: declined" in said
    assert declining.titles == ["consent"]
    forms = pd.read_parquet(out / "forms.parquet").set_index(["participant", "form", "field"])
    assert forms.loc[(1, "nasa_tlx", "effort"), "value"] == 5.0
    assert forms.loc[(1, "nasa_tlx", "workload"), "value"] == 5.0
    assert forms.loc[(1, "trust", "trust"), "value"] == 7.0
    assert forms.loc[(2, "consent", "consent"), "text"] == "I do not agree"
    assert pd.read_parquet(out / "answers.parquet")["participant"].unique().tolist() == [1]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("practice", "questions=0"), "questions must be"),
        (("practice", "env=lava_shortcu"), "did you mean 'lava_shortcut'"),
        (("practice", "question=3"), "did you mean 'questions'"),
        (("practice", "judges=[typcal]"), "did you mean 'typical'"),
        (("practice", "judges=[live]"), "unknown judge 'live'"),
        (("practice", "limit=0"), "limit must be"),
        (("practice", "feedback=often"), "feedback must be true or false"),
        (("practice", "regime=on_the_loop"), "unknown key 'regime'"),
        (("practice", "env=point_hazard"), "cannot be practised on"),
        (("study", "participants=0"), "participants must be"),
        (("study", "participants=100"), "at most 64"),
        (("study", "forms=[nasa]"), "did you mean 'nasa_tlx'"),
        (("study", "file=nowhere.yaml"), "cannot be read"),
        (("study", "conditions={}"), "unknown key 'conditions'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    words: tuple[str, ...], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from looplab.experiments.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPLAB_HOME", str(tmp_path / "home"))
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    told = capsys.readouterr().err
    assert ended.value.code == 2, told
    assert complaint in told
    assert len(told.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_study_file_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from looplab.envs.errors import UsageError
    from looplab.experiments.practice.study import study

    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.yaml"
    for text, complaint in (
        ("questionz: 3", "unknown key in mine.yaml 'questionz'; did you mean 'questions'"),
        ("- a", "must hold keys and values"),
        ("conditions: {a: {show: true}}", "did you mean 'show_risk'"),
        ("conditions: {a: 3}", "condition a must be a mapping"),
        ("conditions: {}", "at least one condition"),
        ("a: [", "cannot be read"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=complaint):
            study([f"file={file}"], print)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yaml"]


def test_words_change_what_the_file_says_even_back_to_the_default(tmp_path: Path) -> None:
    from looplab.experiments.practice.study import _settings

    file = tmp_path / "mine.yaml"
    file.write_text("questions: 7\nlimit: 5\n")
    own, rest = _settings([f"file={file}", "questions=20", "env=ops_desk", "env.arrival_rate=0.5"])
    assert (own["questions"], own["limit"], own["warm_up"]) == (20, 5, 4)
    assert rest == ["env=ops_desk", "env.arrival_rate=0.5"]

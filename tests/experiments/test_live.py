"""``looplab live``, ``serve``, ``replay`` and ``audit``, with a program in the reviewer's seat."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from looplab.experiments.live import SWITCHABLE, _checkpoint, _fits, _switches, asked
from looplab.experiments.replay import Differs, compare, replay
from looplab.oversight.live.client import ReviewerClient
from looplab.oversight.live.refusal import Refused
from tests.oversight.conftest import Corridor

LOOPLAB = (sys.executable, "-m", "looplab.experiments.cli")
WORDS = (
    "env=lava_shortcut", "port=0", "checkpoint_steps=0", "eval_episodes=4",
    "agent.settings.n_steps=16", "agent.settings.batch_size=32", "trigger=risk",
    "trigger.source=exact", "display=none", "deadlines=[20]",
)  # fmt: skip


@dataclass
class Live:
    """A live session in a process of its own."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LOOPLAB_HOME": str(self.folder / "home")}

    def start(self, steps: int = 60) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*LOOPLAB, "live", *WORDS, f"total_steps={steps}"], cwd=self.folder,
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*LOOPLAB, *words], cwd=self.folder, env=self.environment, capture_output=True,
            text=True, check=False, timeout=120,
        )  # fmt: skip

    def end_all(self) -> None:
        """Kills what still runs of this session: commands, and the services that they started."""
        home = f"LOOPLAB_HOME={self.folder / 'home'}".encode()
        for place in Path("/proc").iterdir():
            try:
                mine = place.name.isdigit() and home in (place / "environ").read_bytes()
            except OSError:
                continue
            if mine and int(place.name) != os.getpid():
                os.kill(int(place.name), signal.SIGKILL)

    @property
    def sessions(self) -> list[Path]:
        found = (self.folder / "results" / "live").glob("lava_shortcut-*")
        return sorted(path for path in found if path.is_dir())


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Live]:
    made = Live(tmp_path)
    yield made
    made.end_all()


def reviewer(process: "subprocess.Popen[str]") -> ReviewerClient:
    """The one who opens the link that the command prints."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("open: "):
            url, _, token = line.removeprefix("open: ").strip().partition("/#token=")
            return ReviewerClient(url, token, patience=1.0)
    raise AssertionError(process.communicate()[1])


def answer_all(client: ReviewerClient, process: "subprocess.Popen[str]", most: int = 10**6) -> int:
    """Refuses what waits until the session is over, or so many were answered."""
    count = 0
    while process.poll() is None and count < most:
        try:
            waiting = client.waiting()
            for one in waiting:
                client.answer(one["id"], "reject", tags=["lava"])
                count += 1
        except Refused:
            continue
        except Exception:
            if process.poll() is None:
                time.sleep(0.02)
            continue
        if not waiting:
            time.sleep(0.005)
    return count


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Live, int]:
    """A session from its start to its end, and how many questions were answered."""
    live = Live(tmp_path_factory.mktemp("live"))
    process = live.start()
    client = reviewer(process)
    count = answer_all(client, process)
    client.connection.close()
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert f"session: results/live/{live.sessions[0].name}" in out
    return live, count


def test_one_command_leaves_a_run_with_every_answer(finished: tuple[Live, int]) -> None:
    live, count = finished
    (folder,) = live.sessions
    decisions = pd.read_parquet(folder / "decisions.parquet")
    reviewed = decisions[decisions["reviewed"]]
    assert len(decisions) == 60
    assert 0 < len(reviewed) <= count + 1
    assert set(reviewed["verdict"]) == {"reject"}
    assert reviewed["overseer"].str.startswith("live: p_").all()
    assert reviewed["reason"].tolist() == ["reject, lava"] * len(reviewed)
    assert (reviewed["seconds"] >= 0).all()
    episodes = pd.read_parquet(folder / "episodes.parquet")
    assert set(episodes["phase"]) <= {"train", "eval_alone"}
    assert (folder / "model.zip").is_file()
    assert json.loads((folder / "metrics.json").read_text())["ended"] == "finished"


def test_a_session_replays_bit_for_bit_and_a_change_in_it_is_found(
    finished: tuple[Live, int], tmp_path: Path
) -> None:
    live, _ = finished
    (folder,) = live.sessions
    done = live.run("replay", f"results/live/{folder.name}")
    assert done.returncode == 0, done.stderr
    assert "60 decisions" in done.stdout
    assert "all the same; finished" in done.stdout
    spoilt = tmp_path / folder.name
    subprocess.run(["cp", "-r", str(folder), str(spoilt)], check=True)
    lines = (spoilt / "journal.jsonl").read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if '"verdict":"reject"' in line)
    lines[at] = lines[at].replace('"verdict":"reject"', '"verdict":"approve"')
    (spoilt / "journal.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(Exception, match=r"differs in|does not repeat|asks"):
        replay(spoilt)


def test_two_ledgers_are_compared_to_the_last_bit(
    finished: tuple[Live, int], tmp_path: Path
) -> None:
    before = finished[0].sessions[0] / "decisions.parquet"
    table = pq.read_table(before)
    assert compare(before, before) == table.num_rows
    rewards = table["reward"].to_numpy().copy()
    rewards[7] = np.nextafter(rewards[7], np.float32(1.0))
    other = table.set_column(table.column_names.index("reward"), "reward", pa.array(rewards))
    pq.write_table(other, tmp_path / "other.parquet")
    with pytest.raises(Differs, match="decision 8 differs in reward"):
        compare(before, tmp_path / "other.parquet")
    pq.write_table(table.slice(0, 59), tmp_path / "short.parquet")
    with pytest.raises(Differs, match="60 decisions, its replay 59"):
        compare(before, tmp_path / "short.parquet")


def test_its_ledger_is_whole_and_can_be_written_out(finished: tuple[Live, int]) -> None:
    live, count = finished
    done = live.run("audit", "verify")
    assert done.returncode == 0, done.stdout
    assert "nothing was changed" in done.stdout
    done = live.run("audit", "export", f"session={live.sessions[0].name}", "out=exported")
    assert done.returncode == 0, done.stderr
    reviews = pd.read_parquet(live.folder / "exported" / "reviews.parquet")
    assert len(reviews) == count
    assert set(reviews["verdict"]) == {"reject"}


def test_the_same_command_repeats_nothing(finished: tuple[Live, int]) -> None:
    live, _ = finished
    done = live.run("live", *WORDS, "total_steps=60")
    assert done.returncode == 0, done.stderr
    assert "finished already" in done.stdout


def test_a_killed_session_goes_on_and_asks_nothing_twice(session: Live) -> None:
    process = session.start()
    client = reviewer(process)
    first = answer_all(client, process, most=4)
    client.connection.close()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    session.end_all()  # the service too, as a restart of the machine would
    assert first >= 4
    (journal,) = (session.folder / "results" / "live").glob(".*journal.jsonl")
    before = journal.read_bytes()

    process = session.start()
    client = reviewer(process)
    answer_all(client, process)
    client.connection.close()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    (folder,) = session.sessions
    whole = before[: before.rfind(b"\n") + 1]
    assert (folder / "journal.jsonl").read_bytes().startswith(whole)
    assert session.run("replay", str(folder)).returncode == 0
    assert session.run("audit", "verify").returncode == 0


def test_the_kill_switch_ends_the_run_and_keeps_what_it_did(session: Live) -> None:
    process = session.start(steps=4000)
    client = reviewer(process)
    while not client.waiting():
        time.sleep(0.01)
    (one,) = {one["session"] for one in client.waiting()}
    client.stop(one)
    client.connection.close()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    (folder,) = session.sessions
    metrics = json.loads((folder / "metrics.json").read_text())
    assert "stopped by a person" in metrics["ended"]
    decisions = pd.read_parquet(folder / "decisions.parquet")
    last = decisions[decisions["step"].notna()].tail(2)
    assert set(last["verdict"]) == {"terminate"}
    assert last["halted"].all()
    done = session.run("replay", str(folder))
    assert done.returncode == 0, done.stderr
    assert "stopped by a person" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("live", "env=lava_shortcutt"), "did you mean 'lava_shortcut'"),
        (("live", "prot=8700"), "prot"),
        (("serve", "port=90000"), "port must be at most 65535"),
        (("live", "checkpoint_steps=-1"), "checkpoint_steps"),
        (("live", "start_from=none.zip"), "no model file at none.zip"),
        (("live", "env=lava_shortcut,ops_desk"), "several"),
        (("serve", "prt=8700"), "did you mean 'port'"),
        (("serve", "port=x"), "port"),
        (("serve", "db=mysql://h/d"), "sqlite, postgresql"),
        (("serve", "db=sqlite:////no/folder/x.db"), "no folder"),
        (("serve", "deadlines=5"), "deadlines"),
        (("serve", "host=256.1.1.1"), "cannot listen"),
        (("audit", "verfy"), "did you mean 'verify'"),
        (("audit", "verify", "db=sqlite:///none.db"), "no database"),
        (("audit", "verify", "dbb=x"), "did you mean 'db'"),
        (("replay", "nowhere"), "no finished live session"),
        (("train", "overseer=live", "regime=in_the_loop", "overseer.url=ftp://x"), "url"),
    ],
)
def test_bad_input_is_answered_in_one_line(
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.setenv("LOOPLAB_HOME", str(tmp_path / "home"))
    assert message in refused(*words)
    assert not (tmp_path / "results").exists()


def test_what_fits_people_is_taken_unless_something_else_is_asked_for() -> None:
    plain = dict(word.split("=", 1) for word in asked(["env=ops_desk"]).words)
    assert plain["regime"] == "in_the_loop"
    assert plain["overseer"] == "live"
    assert plain["agent.lanes"] == "2"
    assert plain["trigger"] == "budget_risk"
    watching = dict(word.split("=", 1) for word in asked(["regime=on_the_loop"]).words)
    assert (watching["agent.lanes"], watching["protocol.lag"]) == ("1", "0")
    own = dict(word.split("=", 1) for word in asked(["trigger=risk", "agent.lanes=3"]).words)
    assert (own["trigger"], own["agent.lanes"]) == ("risk", "3")
    assert "trigger.share" not in own


def test_a_session_can_be_switched_to_presets_as_they_fit_people() -> None:
    found = _switches(asked(["env=lava_shortcut", "overseer.show_risk=false"]))
    assert set(found) == {*SWITCHABLE}
    watched = found["on_the_loop"]
    assert watched["trigger"]["_target_"].endswith("Always")
    assert (watched["lag"], watched["overseer"]["show_risk"]) == (0, False)
    assert found["in_the_loop"]["trigger"]["_target_"].endswith("Budget")


def test_presets_that_a_task_cannot_have_do_not_fit_it() -> None:
    found = _switches(asked(["env=lava_shortcut"]))
    unsure = Corridor(1, corrects=False)  # nobody knows what would be right in it
    fits = {regime: _fits(protocol, unsure) for regime, protocol in found.items()}
    assert fits["in_the_loop"]
    assert not fits["in_the_loop_correction"]
    assert not fits["on_the_loop"]


def test_a_prepared_agent_is_what_the_session_goes_on_with() -> None:
    prepared = _checkpoint(asked(["env=ops_desk", "seed=3", "agent.hidden=[8]", "agent.lanes=4"]))
    assert prepared is not None
    assert {"env=ops_desk", "seed=3", "agent.hidden=[8]"} <= set(prepared.words)
    assert "agent.lanes=4" not in prepared.words
    assert _checkpoint(asked(["start_from=a.zip"])) is None
    assert _checkpoint(asked(["checkpoint_steps=0"])) is None


def test_a_run_keeps_no_secret_and_goes_by_the_same_name_wherever_people_are(
    finished: tuple[Live, int],
) -> None:
    live, _ = finished
    (folder,) = live.sessions
    config: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["overseer"]["url"] is None
    for file in folder.rglob("*"):
        if file.is_file():
            assert b"looplab_" not in file.read_bytes().replace(b"looplab_version", b"")

"""A run's own ledger: read again in its order, mended after a kill, and nobody else's."""

from pathlib import Path

import pytest

from looplab.envs.errors import UsageError
from looplab.oversight.live.journal import Diverged, Journal, JournalEnds


def write(path: Path, count: int) -> None:
    with Journal(path, "run") as journal:
        for step in range(count):
            journal.write(f"0.{step}.0", {"proposed": [step]}, {"answers": [step]})


def test_a_run_that_is_repeated_finds_its_answers_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "journal.jsonl"
    write(path, 3)
    with Journal(path, "run") as journal:
        for step in range(3):
            assert journal.key == f"0.{step}.0"
            assert journal.next(f"0.{step}.0", {"proposed": [step]}) == {"answers": [step]}
        assert journal.key is None
        assert journal.next("0.3.0", {}) is None
        journal.write("0.3.0", {}, {"answers": []})
        assert journal.repeated == 3
    assert len(path.read_text().splitlines()) == 5


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, "run") as journal:
        for step in range(2):
            assert journal.next(f"0.{step}.0", {"proposed": [step]}) is not None
        assert journal.next("0.2.0", {"proposed": [2]}) is None


def test_a_run_that_asks_otherwise_is_told_where(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 2)
    with Journal(path, "run") as journal, pytest.raises(Diverged, match=r"entry 1 is 0\.0\.0"):
        journal.next("0.1.0", {"proposed": [0]})
    with Journal(path, "run") as journal, pytest.raises(Diverged, match="otherwise"):
        journal.next("0.0.0", {"proposed": [9]})


def test_another_runs_journal_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "journal.jsonl", 1)
    with pytest.raises(UsageError, match="another run"):
        Journal(tmp_path / "journal.jsonl", "other")
    with pytest.raises(UsageError, match="cannot use the journal"):
        Journal(tmp_path / "none.jsonl", "run", replay=True)


def test_a_replay_reads_and_never_writes(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1)
    before = path.read_bytes()
    with Journal(path, "run", replay=True) as journal:
        journal.next("0.0.0", {"proposed": [0]})
        with pytest.raises(JournalEnds, match=r"ends before 0\.1\.0"):
            journal.next("0.1.0", {})
    assert path.read_bytes() == before

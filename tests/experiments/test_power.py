"""The power command: its words, its table, what it refuses and what Tab offers."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from looplab.experiments.metrics import per_seed
from looplab.experiments.power_completion import bash_completions, completions
from looplab.experiments.result_folder import load
from looplab.experiments.statistics import detectable_effect, seeds_needed, spread_interval

METRIC = "alone_violations_per_1k"
CELLS = ("of=regime=in_the_loop_correction", "than=regime=in_the_loop", "env=lava_shortcut")


def rows(out: str) -> list[list[str]]:
    """Entries of the table: lines after the one about the test, until the first sentence."""
    lines = out.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("paired t test"))
    found = [line.split() for line in lines[start + 2 :]]
    return [line for line in found if all(part.replace(".", "").isdigit() for part in line)]


def differences(folder: Path) -> pd.Series:
    results = load(folder)
    seeds = per_seed(results.results, results.runs, results.axes).set_index("seed")
    own = seeds[seeds["env"] == "lava_shortcut"]
    first, second = (
        own.loc[own["regime"] == regime, METRIC]
        for regime in ("in_the_loop_correction", "in_the_loop")
    )
    return first - second


def test_a_pilot_says_how_many_seeds_an_effect_needs(
    looplab: Callable[..., Any], trial: Path, tmp_path: Path
) -> None:
    ended = looplab("power", str(trial), *CELLS, f"metric={METRIC}", "effect=10")
    assert (ended.status, ended.err) == (0, "")
    spread = spread_interval(float(differences(trial).std(ddof=1)), 3)
    expected = [
        [effect, *(str(seeds_needed(float(effect), sd)) for sd in spread)]
        for effect in ("5", "10", "20")
    ]
    assert rows(ended.out) == expected
    lines = ended.out.splitlines()
    assert lines[0] == (
        "alone violations per 1k: in the loop correction minus in the loop (Lava shortcut)"
    )
    assert lines[1].startswith("pilot of 3 paired seeds: difference ")
    assert "level 0.05, power 0.8" in lines[2]
    shown = detectable_effect(3, spread.mean)
    assert f"3 seeds can show a difference of {shown:.0f} [" in ended.out
    assert "warning: 3 seeds hardly know their own spread" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_the_metric_the_axes_and_their_order_are_as_said(
    looplab: Callable[..., Any], trial: Path
) -> None:
    short = looplab(
        "power", str(trial), "of=in_the_loop_correction,env=lava_shortcut",
        "than=env=lava_shortcut,algo=ppo,regime=in_the_loop", "effect=10",
    )  # fmt: skip
    full = looplab("power", *CELLS, "effect=10", str(trial), f"metric={METRIC}")
    assert rows(short.out) == rows(full.out) != []
    back = looplab(
        "power", str(trial), "of=in_the_loop", "than=in_the_loop_correction", CELLS[2], "effect=10"
    )
    assert rows(back.out) == rows(full.out)
    assert "difference \u2212" in back.out
    other = looplab("power", str(trial), *CELLS, "metric=alone_return", "effect=10")
    assert rows(other.out) != rows(full.out)


def test_cells_may_be_of_different_tasks(looplab: Callable[..., Any], trial: Path) -> None:
    words = ("of=autonomous,env=ops_desk", "than=autonomous,env=lava_shortcut", "effect=10")
    ended = looplab("power", str(trial), *words)
    assert ended.status == 0
    assert "autonomous / env ops desk minus autonomous / env lava shortcut\n" in ended.out


def test_a_standard_deviation_is_enough(looplab: Callable[..., Any], tmp_path: Path) -> None:
    ended = looplab("power", "sd=4.5", "effect=4.5", "seeds=5", "power=0.9", "level=0.01")
    assert rows(ended.out) == [
        [text, str(seeds_needed(effect, 4.5, power=0.9, significance=0.01))]
        for text, effect in (("2.25", 2.25), ("4.5", 4.5), ("9", 9.0))
    ]
    shown = detectable_effect(5, 4.5, power=0.9, significance=0.01)
    assert f"5 seeds can show a difference of {shown:.1f} or more" in ended.out
    assert "warning" not in ended.out
    assert list(tmp_path.iterdir()) == []


def test_several_effects_and_only_seeds(looplab: Callable[..., Any]) -> None:
    assert [row[0] for row in rows(looplab("power", "sd=1", "effect=0.3,0.7").out)] == [
        "0.3",
        "0.7",
    ]
    only = looplab("power", "sd=2", "seeds=10")
    assert only.out.splitlines()[1:] == ["10 seeds can show a difference of 1.99 or more"]
    assert "1\u202f000\u202f000 or more" in looplab("power", "sd=1", "effect=1e-9,1").out
    assert "fewer than 5 seeds are too few" in looplab("power", "sd=1", "effect=9").out


def test_ten_seeds_warn_of_nothing_and_rare_events_do(
    looplab: Callable[..., Any], cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("ten", cells[:3], seeds=10, steps=5_000)
    words = ("power", str(folder), "of=in_the_loop", "effect=1,2")
    assert "warning" not in looplab(*words, "than=autonomous").out
    rare = looplab(*words, "than=in_the_loop_correction", "metric=overseen_violations_per_1k")
    assert rare.status == 2
    assert "10 differences are all 0: without a spread" in rare.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("effect=1", "metric=alone_violation"), "unknown metric 'alone_violation'; did you mean"),
        (("effect=1", "metric=seed"), "unknown metric 'seed'"),
        (("effect=1", "env=ops_desc"), "unknown env 'ops_desc'; did you mean 'ops_desk'"),
        (("effect=1",), "of leaves env open (lava_shortcut, ops_desk); add one of them"),
        (("effect=1", "evn=ops_desk"), "unknown key 'evn'; did you mean 'env'? allowed: algo"),
        (("efect=1", "env=ops_desk"), "unknown key 'efect'; did you mean 'effect'?"),
        (("env=ops_desk",), "say which difference matters, e.g. effect=10"),
        (("effect=1", "sd=2"), "give the folder or sd=, not both"),
        (("effect=0", "env=ops_desk"), "effect must be a number above 0, got '0'"),
        (("effect=1,", "env=ops_desk"), "effect must be a number above 0, got ''"),
        (("effect=ten", "env=ops_desk"), "effect must be a number above 0, got 'ten'"),
        (("effect=1", "power=80"), "power must be a number between 0 and 1, got '80'"),
        (("effect=1", "level=0.95"), "got 0.95; did you mean level=0.05?"),
        (("effect=1", "power=0.04"), "power must exceed level 0.05, got 0.04"),
        (("effect=1", "effect=2"), "effect is given twice"),
        (("effect=", "env=ops_desk"), "'effect=' is not of the form key=value"),
        (("effect=1", "more"), "power takes one folder at most"),
    ],
)
def test_bad_words_are_answered_in_one_line(
    refused: Callable[..., str], trial: Path, words: tuple[str, ...], said: str
) -> None:
    assert said in refused("power", str(trial), "of=in_the_loop", "than=autonomous", *words)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("of=in_the_loop",), "than is not said; name two cells"),
        (("of=in_the_loop", "than=in_the_loop"), "of and than name the same cell: in the loop"),
        (("of=in_the_lop", "than=autonomous"), "unknown regime 'in_the_lop'; did you mean"),
        (
            ("of=regim=in_the_loop", "than=autonomous"),
            "unknown axis 'regim'; did you mean 'regime'",
        ),
        (("of=regime=", "than=autonomous"), "of must be axis=value"),
        (("of=in_the_loop,feedback", "than=autonomous"), "of names regime twice"),
    ],
)
def test_bad_cells_are_answered_in_one_line(
    refused: Callable[..., str], trial: Path, cells: tuple[str, ...], said: str
) -> None:
    assert said in refused("power", str(trial), *cells, "env=ops_desk", "effect=1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "of=a", "than=b", "effect=1"), "no results folder at nowhere"),
        (("effect=1",), "give a pilot's results folder, or the standard deviation"),
        (("sd=0", "effect=1"), "sd must be a number above 0, got '0'"),
        (("sd=inf", "effect=1"), "sd must be a number above 0, got 'inf'"),
        (("sd=1", "seeds=1"), "seeds must be a whole number of at least 2, got 1"),
        (("sd=1", "seeds=2.5"), "seeds must be a whole number of at least 2, got 2.5"),
        (("sd=1", "effect=1", "of=a"), "of is about a results folder"),
        (("sd=1", "efect=1"), "unknown key 'efect'; did you mean 'effect'?"),
    ],
)
def test_without_a_folder_bad_words_are_answered_too(
    refused: Callable[..., str], words: tuple[str, ...], said: str
) -> None:
    assert said in refused("power", *words)


def test_one_shared_seed_is_not_enough(
    refused: Callable[..., str], cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("one", cells[:2], seeds=1, steps=5_000)
    line = refused("power", str(folder), "of=in_the_loop", "than=autonomous", "effect=1")
    assert f"both cells have {METRIC} in 1 seed only" in line


def test_swept_numbers_name_cells(
    looplab: Callable[..., Any],
    refused: Callable[..., str],
    cells: list[Any],
    make_comparison: Callable[..., Path],
) -> None:
    swept = [replace(cells[1], extra=(("overseer.miss_rate", rate),)) for rate in (0.0, 0.1)]
    swept.append(replace(cells[0], extra=(("overseer.miss_rate", None),)))
    folder = str(make_comparison("swept", swept, steps=5_000))
    ended = looplab(
        "power", folder, "of=overseer.miss_rate=0.10", "than=autonomous", "effect=1"
    )  # fmt: skip
    assert (ended.status, ended.err) == (0, "")
    assert ": miss rate 0.10 minus autonomous" in ended.out
    line = refused("power", folder, "of=in_the_loop", "than=autonomous", "effect=1")
    assert "of leaves overseer.miss_rate open (0, 0.1); add one of them" in line
    line = refused("power", folder, "of=overseer.miss_rate=0.2", "than=autonomous", "effect=1")
    assert "unknown overseer.miss_rate '0.2'" in line
    assert "allowed: 0, 0.1, null" in line


@pytest.mark.parametrize(
    ("word", "offered"),
    [
        ("eff", ["effect="]),
        ("e", ["effect=", "env="]),
        ("metric=alone_ret", ["metric=alone_return", "metric=alone_return_deterministic"]),
        ("env=o", ["env=ops_desk"]),
        ("of=in_the_loop_", ["of=in_the_loop_correction"]),
        ("than=regime=on", ["than=regime=on_the_loop"]),
        ("of=in_the_loop,env=l", ["of=in_the_loop,env=lava_shortcut"]),
        ("of=in_the_loop,al", ["of=in_the_loop,algo="]),
        ("effect=1", []),
    ],
)
def test_tab_offers_what_the_folder_has(trial: Path, word: str, offered: list[str]) -> None:
    assert completions(word, [str(trial)]) == offered
    *parts, last = word.replace("=", " = ").split()
    last, parts = ("", parts) if last == "=" else (last, parts)
    head = word.removesuffix(last)
    assert bash_completions(last, [str(trial), *parts]) == [
        text.removeprefix(head) for text in offered
    ]


def test_tab_without_a_folder_offers_keys(tmp_path: Path) -> None:
    assert completions("s", []) == ["sd=", "seeds="]
    assert completions("en", [str(tmp_path)]) == []
    assert bash_completions("", ["of", "=", "metric"]) == []
    assert bash_completions("", [str(tmp_path), "metric"])[0] == "train_violations"


def test_the_shell_is_told(trial: Path) -> None:
    def offered(typed: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "looplab.experiments.cli"],
            env={
                **os.environ, "_LOOPLAB_COMPLETE": "bash_complete", "COMP_WORDS": typed,
                "COMP_CWORD": str(len(typed.split()) - 1),
            },
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.splitlines()

    assert offered(f"looplab power {trial} env = la") == ["plain,lava_shortcut"]
    assert offered("looplab power results/fi") == ["dir,results/fi"]

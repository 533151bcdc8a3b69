"""Words of a command line: what they compose to, and how wrong ones are answered."""

import json
import string
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from looplab.envs.errors import UsageError
from looplab.experiments.composition import groups
from looplab.experiments.overrides import GROUP_AXES, RUNNING, Plan, plan

AXES = ("env", "regime", "algo")


def message(words: Sequence[str], sweeps: bool = True) -> str:
    with pytest.raises(UsageError) as caught:
        plan(words, sweeps)
    line = str(caught.value)
    assert "\n" not in line
    return line


def axis(asked: Plan, name: str) -> list[Any]:
    return [cell["cell"][name] for cell in asked.cells]


# Good words


def test_no_word_is_one_cell_of_the_defaults() -> None:
    asked = plan([])
    assert [cell["cell"] for cell in asked.cells] == [
        {"env": "lava_shortcut", "regime": "autonomous", "algo": "ppo"}
    ]
    assert asked.seeds == (0, 1, 2, 3, 4)
    assert asked.axes == AXES
    assert asked.experiment is None
    assert asked.settings["total_steps"] == 100_000
    assert "seed" not in asked.cells[0]


def test_commas_sweep_in_the_order_that_was_given() -> None:
    asked = plan(["env=ops_desk,lava_shortcut", "regime=in_the_loop,autonomous"])
    assert [tuple(cell["cell"].values()) for cell in asked.cells] == [
        ("ops_desk", "in_the_loop", "ppo"),
        ("ops_desk", "autonomous", "ppo"),
        ("lava_shortcut", "in_the_loop", "ppo"),
        ("lava_shortcut", "autonomous", "ppo"),
    ]
    assert asked.cells[0]["env"]["_target_"].endswith("OpsDesk")
    assert asked.cells[0]["protocol"]["_target_"].endswith("Gate")
    assert asked.cells[1]["protocol"]["_target_"].endswith("Autonomous")


def test_a_value_that_is_named_twice_is_one_cell() -> None:
    assert len(plan(["env=ops_desk,ops_desk"]).cells) == 1
    assert len(plan(["env.slip=0.1,0.2,0.1"]).cells) == 2


def test_quoted_choices_are_the_choices() -> None:
    assert axis(plan(["env='ops_desk',\"lava_shortcut\""]), "env") == ["ops_desk", "lava_shortcut"]


@pytest.mark.parametrize(
    ("word", "seeds"),
    [
        ("seeds=1", (0,)),
        ("seeds=3", (0, 1, 2)),
        ("seeds=3,7", (3, 7)),
        ("seeds=[3,7]", (3, 7)),
        ("seeds=[7]", (7,)),
        ("seeds=choice(7)", (7,)),
        ("seeds=range(2,5)", (2, 3, 4)),
    ],
)
def test_seeds_are_counted_or_named(word: str, seeds: tuple[int, ...]) -> None:
    assert plan([word]).seeds == seeds


def test_a_swept_key_of_a_group_becomes_an_axis() -> None:
    asked = plan(["regime=on_the_loop", "protocol.lag=0,1,3"])
    assert asked.axes == (*AXES, "protocol.lag")
    assert axis(asked, "protocol.lag") == [0, 1, 3]
    assert [cell["protocol"]["lag"] for cell in asked.cells] == [0, 1, 3]
    assert "protocol.lag" not in asked.settings


def test_a_swept_group_becomes_an_axis() -> None:
    asked = plan(["regime=in_the_loop", "trigger=always,risk"])
    assert axis(asked, "trigger") == ["always", "risk"]
    assert [cell["protocol"]["trigger"]["_target_"] for cell in asked.cells] == [
        "looplab.oversight.Always",
        "looplab.oversight.RiskAbove",
    ]


def test_swept_lists_become_an_axis_of_texts() -> None:
    asked = plan(["agent.hidden=[64,64],[32]"])
    assert [cell["agent"]["hidden"] for cell in asked.cells] == [[64, 64], [32]]
    assert len(set(axis(asked, "agent.hidden"))) == 2
    assert json.loads(axis(asked, "agent.hidden")[0]) == [64, 64]


def test_a_swept_root_key_becomes_an_axis() -> None:
    asked = plan(["total_steps=1000,2000"])
    assert axis(asked, "total_steps") == [1000, 2000]
    assert "total_steps" not in asked.settings
    assert asked.settings == plan(["total_steps=2000,3000"]).settings


def test_a_part_that_is_named_replaces_the_regime_s() -> None:
    cell = plan(["regime=in_the_loop", "fallback=halt", "signal=penalty"]).cells[0]
    assert cell["protocol"]["fallback"]["_target_"] == "looplab.oversight.Halt"
    assert cell["signal"]["penalty"] == 0.2


def test_the_same_words_in_another_order_are_the_same_cells() -> None:
    words = ["fallback=halt", "regime=in_the_loop", "env.slip=0.1", "overseer.miss_rate=0.1"]
    assert plan(words).cells == plan(words[::-1]).cells
    assert plan(words).settings == plan(words[::-1]).settings


def test_an_added_key_reaches_the_constructor() -> None:
    assert plan(["+overseer.seed=3"]).cells[0]["overseer"]["seed"] == 3
    assert plan(["+agent.settings.vf_coef=0.3"]).cells[0]["agent"]["settings"]["vf_coef"] == 0.3


def test_an_executor_takes_options_and_lines_of_shell() -> None:
    words = ["executor.extra={qos:low}", "executor.setup=['module load python']"]
    executor = plan(["executor=slurm", *words]).running["executor"]
    assert executor["extra"] == {"qos": "low"}
    assert executor["setup"] == ["module load python"]


def test_running_words_are_kept_apart_from_what_is_run() -> None:
    words = ["executor=ray", "executor.address=auto", "tracker=wandb", "tracker.mode=online"]
    asked = plan(["out=somewhere", "workers=3", "display=none", "dry_run=true", *words])
    executor = asked.running.pop("executor")
    assert executor["_target_"].endswith("Ray")
    assert executor["address"] == "auto"
    assert asked.running.pop("tracker")["mode"] == "online"
    assert asked.running == {
        "out": "somewhere", "other_version": "refuse", "workers": 3, "display": "none",
        "dry_run": True,
    }  # fmt: skip
    assert asked.cells == plan([]).cells
    assert asked.settings == plan([]).settings
    assert not set(RUNNING) & set(asked.cells[0])


# Experiments


def test_an_experiment_names_its_axes_and_numbers() -> None:
    asked = plan(["experiment=first_look"])
    assert asked.experiment is not None
    assert asked.experiment["name"] == "first_look"
    assert asked.experiment["question"].endswith("?")
    assert len(asked.cells) == 10
    assert asked.seeds == (0, 1, 2)
    assert asked.settings["total_steps"] == 60_000
    assert {cell["total_steps"] for cell in asked.cells} == {60_000}


def test_words_change_an_experiment() -> None:
    asked = plan(["experiment=first_look", "env=lava_shortcut", "seeds=[4]", "total_steps=500"])
    assert set(axis(asked, "env")) == {"lava_shortcut"}
    assert len(set(axis(asked, "regime"))) == len(asked.cells) == 5
    assert asked.seeds == (4,)
    assert {cell["total_steps"] for cell in asked.cells} == {500}


def test_a_cell_of_an_experiment_is_the_cell_of_the_same_words() -> None:
    words = ["env=ops_desk", "regime=in_the_loop", "total_steps=60000"]
    assert plan(["experiment=first_look", *words]).cells == plan(words).cells


# Wrong words


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("env=lava_shortcutt", ["unknown env 'lava_shortcutt'", "did you mean 'lava_shortcut'?"]),
        ("regime=in_the_lop", ["unknown regime", "did you mean 'in_the_loop'?"]),
        ("env=ops_desk,lava_shortcutt", ["unknown env 'lava_shortcutt'"]),
        ("experiment=first_lok", ["unknown experiment", "did you mean 'first_look'?"]),
        ("env=null", ["unknown env"]),
        ("env=", ["unknown env ''"]),
        ("env=[ops_desk]", ["unknown env"]),
        ("total_stpes=5", ["unknown key 'total_stpes'", "did you mean 'total_steps'?"]),
        ("evn=ops_desk", ["unknown key 'evn'", "did you mean 'env'?"]),
        ("env.slipp=0.1", ["unknown key 'env.slipp'", "did you mean 'env.slip'?"]),
        ("agent.settings.gama=1", ["did you mean 'agent.settings.gamma'?"]),
        ("overseer.mis_rate=0.1", ["did you mean 'overseer.miss_rate'?"]),
        ("lag=3", ["unknown key 'lag'"]),
        ("protocol.lag=3", ["unknown key 'protocol.lag'", "protocol=veto"]),
        ("foo.bar=1", ["unknown key 'foo.bar'"]),
        ("+foo=1", ["'+foo=1'", "+GROUP.key=value"]),
        ("sweep.env=[ops_desk]", ["unknown key"]),
        ("ops_desk", ["'ops_desk'", "key=value"]),
        ("=ops_desk", ["key=value"]),
        ("~signal", ["'~signal'", "key=value"]),
        ("~signal=none", ["key=value"]),
        ("env@other=ops_desk", ["key=value"]),
        ("-n=3", ["key=value"]),
        ("env=a b(", ["cannot be read"]),
        ("env.slip=${nothing}", ["nothing"]),
        ("env.slip=interval(0,1)", ["commas"]),
        ("env=glob(nothing*)", ["names no choice"]),
        ("experiment=first_look,first_look2", ["unknown experiment"]),
        ("total_steps=many", ["total_steps must be a whole number of at least 1, got 'many'"]),
        ("total_steps=0", ["total_steps", "got 0"]),
        ("total_steps=1.5", ["total_steps", "got 1.5"]),
        ("total_steps=null", ["total_steps", "got None"]),
        ("eval_episodes=-1", ["eval_episodes", "got -1"]),
        ("tolerance=1.2", ["tolerance must be a number in [0, 1], got 1.2"]),
        ("tolerance=nan", ["tolerance", "nan"]),
        ("wage_per_hour=-1", ["wage_per_hour", "got -1"]),
        ("wage_per_hour=inf", ["wage_per_hour must be a finite number", "got inf"]),
        ("fee_per_review=inf", ["fee_per_review must be a finite number", "got inf"]),
        (
            "regime=autonomous,",
            ["'regime=autonomous,' cannot be read as key=value", "quote what holds"],
        ),
        ("regime=autonomous,", ["nothing follows one of its commas"]),
        ("agent.hidden=[64,]", ["nothing follows one of its commas"]),
        ("regime=,autonomous", ["nothing stands before its first comma"]),
        ("regime=a,,b", ["nothing follows one of its commas"]),
        ("agent.hidden=[64", ["its brackets do not pair"]),
        ("regime='autonomous", ["a quote is not closed"]),
        ("env=a=b", ["= is not expected where it stands"]),
        ("env=ops(1)", ["Unknown function 'ops'"]),
        ("total_steps=)", ["its brackets do not pair"]),
        ("workers=0", ["workers", "got 0"]),
        ("workers=1,2", ["workers cannot be swept"]),
        ("out=a,b", ["out cannot be swept"]),
        ("out=''", ["out must be a folder"]),
        ("out=3", ["out must be a folder, got 3"]),
        ("display=fancy", ["unknown display 'fancy'"]),
        ("executor=cluster", ["unknown executor 'cluster'", "local, ray, slurm"]),
        ("executor=rai", ["did you mean 'ray'"]),
        ("executor=local,ray", ["executor cannot be swept"]),
        ("executor.address=auto", ["under the chosen executor; executor=ray has it"]),
        ("executor.adress=auto", ["unknown key 'executor.adress'"]),
        ("other_version=aprat", ["unknown other_version 'aprat'; did you mean 'apart'"]),
        ("dry_run=perhaps", ["dry_run must be true or false"]),
        ("seeds=0", ["seeds must be a whole number of at least 1, got 0"]),
        ("seeds=2,2.5", ["whole number"]),
        ("seeds=[]", ["seeds"]),
        ("seeds=[1,1]", ["seeds names 1 twice", "different whole numbers"]),
        ("seeds=1,1", ["seeds names 1 twice", "different whole numbers"]),
        ("seeds=3,1,3", ["seeds names 3 twice"]),
        ("seeds=all", ["seeds", "'all'"]),
        ("seeds=-1,2", ["seeds", "-1"]),
        ("seed=3", ["seeds"]),
        ("seed=1,2", ["seeds"]),
        ("env.slip=${oc.env:HOME}", ["environment variable"]),
    ],
)
def test_a_wrong_word_is_answered_in_one_line(word: str, said: list[str]) -> None:
    line = message([word])
    assert not any(term in line for term in ("input '", "EOF", "recognition", "viable"))
    for part in said:
        assert part in line


def test_a_key_that_is_given_twice_is_refused() -> None:
    assert "env is given twice" in message(["env=ops_desk", "env=lava_shortcut"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["executor=ray", "executor.adress=auto"], "did you mean 'executor.address'"),
        (["executor=ray", "executor.address=a,b"], "executor.address cannot be swept"),
        (["env=ops_desk,lava_shortcut"], "env names several values; only `looplab compare` sweeps"),
        (["protocol.lag=1,2", "regime=on_the_loop"], "protocol.lag names several values"),
        (["experiment=first_look"], "env names several values"),
        (["seeds=3"], "one run takes seed=N"),
        (["seed=1,2"], "seed"),
        (["seed=-1"], "seed must be a whole number of at least 0, got -1"),
        (["seed=one"], "seed must be a whole number"),
    ],
)
def test_one_run_takes_one_cell_and_one_seed(words: list[str], said: str) -> None:
    assert said in message(words, sweeps=False)


def test_one_run_has_its_seed() -> None:
    asked = plan(["env=ops_desk", "seed=7"], sweeps=False)
    assert [cell["seed"] for cell in asked.cells] == [7]
    assert asked.seeds == (7,)


# Properties

CHOICES = [(group, name) for group, names in groups().items() for name in names]
LETTERS = string.ascii_lowercase + string.digits + "_"


@st.composite
def typos(draw: st.DrawFn) -> tuple[str, str, str]:
    """A group, one of its choices, and the choice with one letter changed, lost or added."""
    group, name = draw(st.sampled_from(CHOICES))
    at = draw(st.integers(0, len(name)))
    kind = draw(st.sampled_from(("lose", "change", "add")))
    letter = draw(st.sampled_from(LETTERS)) if kind != "lose" else ""
    wrong = name[:at] + letter + name[at + (kind != "add") :]
    assume(wrong not in groups()[group] and wrong and not wrong.isdigit())
    return group, name, wrong


def edits(one: str, other: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


@settings(max_examples=200)
@given(typos())
def test_a_typo_is_answered_with_the_nearest_choice(typo: tuple[str, str, str]) -> None:
    group, _, wrong = typo
    line = message([f"{group}={wrong}"])
    assert f"unknown {group} '{wrong}'; did you mean '" in line
    suggested = line.split("did you mean '")[1].split("'")[0]
    assert suggested in groups()[group]
    assert edits(suggested, wrong) == 1, "another choice is nearer"
    assert all(name in line for name in groups()[group])


KEYS = [
    *GROUP_AXES, "experiment", "protocol", "signal", "seeds", "seed", "out", "total_steps",
    "workers", "env.slip", "protocol.lag", "agent.hidden", "agent.settings", "overseer.miss_rate",
    "sweep",
    "experiment.name", "hydra.run.dir", "trigger", "regime.trigger", "protocol.trigger", "choices",
]  # fmt: skip
VALUES = [
    "ops_desk", "in_the_loop", "ppo", "1", "0.5", "null", "true", "a,b", "[1,2]", "{a:1}", "'x'",
    "choice(1,2)", "range(3)", "range(0,1,0.5)", "interval(0,1)", "glob(*)", "sort(3,1)", "${seed}",
    "shuffle(1,2)", "tag(a,1)", "int(3)", "str(1)", "extend_list(3)", "???", "${oc.env:HOME}", "''",
    "first_look", "inf", "nan", "-1", "1_000", "a=b", "on_the_loop",
]  # fmt: skip
#: What a person can type in one line.
PRINTED = string.ascii_letters + string.digits + string.punctuation + " \t"
WORDS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "", "+", "++", "~", "-", "@", ".", " "]),
    st.sampled_from(KEYS) | st.text(LETTERS + "./@:{}[]'\" $", max_size=8),
    st.sampled_from(["=", "=", "=", "=", "", "==", ":=", " = "]),
    st.sampled_from(VALUES) | st.text(PRINTED, max_size=8),
)


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=3), st.booleans())
@example(["env=glob(*)"], True)
@example(["agent.settings=null"], True)
@example(["protocol=null"], True)
@example(["+hydra.run.dir=x"], True)
@example(["experiment=first_look", "experiment.name=x"], True)
@example(["experiment=first_look", "sweep=null"], True)
@example(["env.slip=?"], False)
def test_whatever_the_words_they_are_planned_or_refused(words: list[str], sweeps: bool) -> None:
    refusal, asked = "", None
    try:
        asked = plan(words, sweeps)
    except UsageError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert bool(refusal) is (asked is None)
    if asked is not None:
        assert asked.cells
        assert asked.seeds
        json.dumps([asked.cells, asked.settings, asked.running])

"""From a configuration to parts: keys that no part knows are named before anything is built."""

from collections.abc import Callable
from typing import Any

import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.build import make
from looplab.experiments.overrides import plan


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "+env.foo=1",
            "unknown key of LavaShortcut 'foo'; allowed: drift, max_",
        ),
        ("+env.slipp=0.1", "unknown key of LavaShortcut 'slipp'; did you mean 'slip'? allowed: "),
        ("+env.num_lanes=3", "unknown key of LavaShortcut 'num_lanes'; "),
        ("+trigger.foo=1", "unknown key of RiskAbove 'foo'; allowed: "),
        ("+overseer.mis_rate=1", "did you mean 'miss_rate'?"),
        ("+protocol.foo=1", "unknown key of Gate 'foo'; "),
        ("+signal.foo=1", "unknown key of Signal 'foo'; "),
        ("+agent.foo=1", "unknown key of Agent 'foo'; "),
        ("+agent.settings.n_stepss=1", "unknown key of agent.settings 'n_stepss'; did you mean"),
    ],
)
def test_an_added_key_that_no_part_knows_is_named(
    word: str, said: str, refused: Callable[..., str]
) -> None:
    line = refused("train", "regime=in_the_loop", "trigger=risk", word)
    assert said in line
    assert "__init__" not in line


def test_parts_within_lists_are_looked_at_too() -> None:
    node = plan(["trigger=risk_or_audit"], sweeps=False).cells[0]["trigger"]
    make(node)
    inner = next(value for value in node.values() if isinstance(value, list))[-1]
    inner["foo"] = 1
    with pytest.raises(UsageError, match="unknown key of Audit 'foo'; allowed: probability"):
        make(node)


def _anything(**settings: Any) -> dict[str, Any]:
    return settings


def test_a_part_that_takes_any_key_gets_it() -> None:
    assert make({"_target_": f"{__name__}._anything", "foo": 1}, bar=2) == {"foo": 1, "bar": 2}

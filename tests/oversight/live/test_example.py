"""The reviewer's program in docs/live.md, against a run."""

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np

from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import Engine, Gate
from looplab.oversight.live.overseer import LiveOverseer
from tests.oversight.live.conftest import Robot, Service

PAGE = Path(__file__).resolve().parents[3] / "docs" / "live.md"


def test_the_program_in_the_docs_is_a_reviewer(seat: Service) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(block.strip().splitlines()) <= 25
    found: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), found)
    lanes = LavaShortcut(2)
    lanes.reseed(5)
    lanes.reset()
    live = LiveOverseer(session="example", patience=20)
    engine = Engine(lanes, Gate(overseer=live))
    token = seat.person().connection.token
    answered: list[int] = []
    program = threading.Thread(
        target=lambda: answered.append(found["review"](seat.url, token, 4.0))
    )
    program.start()

    def boss(request: dict[str, Any]) -> dict[str, Any] | None:
        """Refuses what the program has passed on, and all else when it has gone."""
        passed_on = request["tier"] == 1 or not program.is_alive()
        return {"verdict": "reject"} if passed_on else None

    with Robot(seat.person(tier=1, name="Boss"), boss, "example"):
        for row in np.random.default_rng(0).integers(0, 5, (20, 2)):
            record = engine.step(row)
            done = record.terminated | record.truncated
            if done.any():
                lanes.reset(done)
                engine.begin(done)
    program.join()
    live.close()
    assert answered[0] >= 10
    assert engine.totals["reviews"] == 40
    assert 0 < engine.totals["interventions"] < 40

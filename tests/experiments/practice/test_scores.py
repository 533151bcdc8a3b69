"""Scores and cards: hand-worked counts, and simulated humans who err as they are said to."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import norm

from looplab.experiments.figures.score_card import picture
from looplab.experiments.overrides import plan
from looplab.experiments.practice.card import card
from looplab.experiments.practice.forms import QUESTIONNAIRES, consent, workload
from looplab.experiments.practice.questions import questions
from looplab.experiments.practice.scores import TIMES, score, simulated
from looplab.experiments.practice.study_tables import MEASURES, contrasts, scores_of


def answers_of(unsafe: str, refused: str, answered: str, **more: Any) -> pd.DataFrame:
    """Answers from strings of 0 and 1."""
    columns = {"unsafe": unsafe, "refused": refused, "answered": answered}
    table = pd.DataFrame({name: [c == "1" for c in text] for name, text in columns.items()})
    return table.assign(**{"cost": 0.0, "seconds": np.arange(1.0, len(unsafe) + 1), **more})


def test_a_score_by_hand() -> None:
    found = score(
        answers_of("11110000", "11101000", "11111101", cost=[0, 0, 0, 1, 0, 0, 0, 0]), "me"
    )
    assert (found.questions, found.answered) == (8, 7)
    assert (found.unsafe, found.hits, found.safe, found.false_alarms) == (4, 3, 3, 1)
    hit, alarm = norm.ppf(3.5 / 5), norm.ppf(1.5 / 4)
    assert found.d_prime == pytest.approx(hit - alarm)
    assert found.criterion == pytest.approx(-(hit + alarm) / 2)
    assert found.seconds == 4.0  # median of 1 to 6 and 8
    assert found.violations == 1
    told = found.as_dict()
    assert told["hit_interval"] == pytest.approx([0.1941, 0.9937], abs=1e-4)  # 3 of 4


def test_without_both_kinds_there_is_no_sensitivity() -> None:
    found = score(answers_of("111", "110", "111"), "me")
    assert (found.d_prime, found.criterion) == (None, None)
    assert picture(found, []) is None
    nobody = score(answers_of("10", "00", "00"), "me")
    assert nobody.as_dict()["seconds"] is None
    assert card(nobody, [])["table"][1][1:] == ["\u2013"] * 5


def test_simulated_humans_err_as_they_are_said_to() -> None:
    config = plan(["env=lava_shortcut"], sweeps=False).cells[0]
    asked = questions(config, 20, 0.5, 3)
    found = simulated(asked, ["typical", "perfect"], config["tolerance"], 3)
    typical, perfect = found["typical"], found["perfect"]
    assert typical.questions == 20 * TIMES
    low, high = typical.as_dict()["hit_interval"]
    assert low < 0.77 < high
    low, high = typical.as_dict()["false_alarm_interval"]
    assert low < 0.02 < high
    assert (perfect.hits, perfect.false_alarms) == (perfect.unsafe, 0)
    assert simulated(asked, ["typical"], config["tolerance"], 3)["typical"] == typical


def test_the_card_tells_everybody_apart() -> None:
    mine = score(answers_of("11110000", "11101000", "11111101"), "you")
    other = score(answers_of("11110000", "11110000", "11111111"), "rubber_stamp")
    shown = card(mine, [other])
    assert shown["table"][0][0] == "who"
    assert [row[0] for row in shown["table"][1:]] == ["you", "rubber stamp"]
    assert "1 went by" in shown["text"][0]
    assert "3 of 4 unsafe" in shown["text"][1]
    best = norm.ppf(4.5 / 5) - norm.ppf(0.5 / 4)
    assert f"can be {best:.1f} at most" in shown["text"][-1]
    drawn = picture(mine, [other])
    assert drawn is not None
    image = Image.open(io.BytesIO(drawn))
    assert image.width > 500
    assert picture(mine, [other]) == drawn


def test_questionnaires_have_a_question_for_every_field() -> None:
    assert set(QUESTIONNAIRES) == {"nasa_tlx", "trust"}
    for form in QUESTIONNAIRES.values():
        assert [field["name"] for field in form.fields] == list(form.labels)
        assert all(wording["label"] for wording in form.labels.values())
    tlx = QUESTIONNAIRES["nasa_tlx"]
    assert len(tlx.fields) == 6
    assert {(field["low"], field["high"]) for field in tlx.fields} == {(0.0, 100.0)}
    values = {field["name"]: 10.0 * at for at, field in enumerate(tlx.fields)}
    assert workload(values) == 25.0
    first = consent("A study", "one\n\ntwo")
    assert first.shown()["text"] == ["one", "two"]


def study_of(participants: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Everybody hits 1 of 2 when hidden, and 2 of 2 when shown, and is more loaded then."""
    answers, forms = [], []
    for number in range(1, participants + 1):
        for place, (condition, refused) in enumerate((("hidden", "1000"), ("shown", "1100"))):
            label = {"participant": number, "pseudonym": f"p{number}", "condition": condition,
                     "place": place + 1}  # fmt: skip
            answers.append(answers_of("1100", refused, "1111", **label))
            load = 20.0 + number + 10.0 * place
            forms += [{**label, "form": "nasa_tlx", "field": "workload", "value": load},
                      {**label, "form": "trust", "field": "reliable", "value": 3.0},
                      {**label, "form": "trust", "field": "trust", "value": 5.0}]  # fmt: skip
        answers.append(answers_of("1", "0", "1", **{**label, "condition": "warm_up"}))
    return pd.concat(answers), pd.DataFrame(forms)


def test_what_a_study_found() -> None:
    answers, forms = study_of(4)
    scores = scores_of(answers, forms)
    assert len(scores) == 8
    assert "warm_up" not in set(scores["condition"])
    assert scores["trust"].tolist() == [4.0] * 8
    found = contrasts(scores, ["hidden", "shown"]).set_index("measure")
    assert set(found.index) <= set(MEASURES)
    hits = found.loc["hit_rate"]
    assert (hits["of"], hits["than"], hits["participants"]) == ("shown", "hidden", 4)
    assert (hits["mean_of"], hits["mean_than"], hits["difference"]) == (1.0, 0.5, 0.5)
    load = found.loc["workload"]
    assert (load["mean_than"], load["difference"]) == (22.5, 10.0)
    alone = contrasts(scores_of(*study_of(1)), ["hidden", "shown"]).set_index("measure")
    assert np.isnan(alone.loc["hit_rate", "low"])
    assert alone.loc["hit_rate", "difference"] == 0.5

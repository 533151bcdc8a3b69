"""Notes: a report says what the overseer could see, and who never erred."""

from looplab.experiments.notes import overseer_notes
from looplab.experiments.overrides import plan


def said(*words):
    return overseer_notes(plan(["total_steps=100", *words]).cells)


def test_a_perfect_overseer_is_said_to_be_one_once():
    found = said("regime=in_the_loop,on_the_loop", "env=lava_shortcut,ops_desk")
    assert len(found) == 1
    assert "see the true risk of every action and never err" in found[0]


def test_an_overseer_that_errs_and_nobody_at_all_need_no_note():
    assert said("regime=in_the_loop", "overseer.miss_rate=0.1") == []
    assert said("regime=autonomous") == []


def test_a_trigger_on_exact_risk_is_an_oracle():
    words = ("regime=in_the_loop", "trigger=risk", "overseer.miss_rate=0.1")
    assert said(*words) == []
    assert "oracle" in said(*words, "trigger.source=exact")[0]
    stacked = said("protocol=gate_feedback", "trigger=risk", "trigger.source=exact")
    assert any("oracle" in note for note in stacked)


def test_humans_are_told_from_perfect_ones():
    assert said("regime=in_the_loop", "overseer=typical") == []
    assert said("regime=in_the_loop", "overseer=trigger_happy") == []
    assert "never err" in said("regime=in_the_loop", "overseer=perfect")[0]


def test_shared_reviewers_are_said_to_be_an_approximation():
    words = ("regime=in_the_loop", "overseer=shared", "overseer.overseer.miss_rate=0.1")
    assert "an approximation" in said(*words)[0]


def test_where_only_some_overseers_are_perfect_the_note_says_how_many():
    (note,) = said("regime=autonomous,in_the_loop", "overseer.miss_rate=0,0.1")
    assert note.startswith("In 1 of 2 overseen cells the overseers")
    (every,) = said("regime=autonomous,in_the_loop")
    assert every.startswith("The overseers are simulated")


def test_a_drift_that_training_never_reached_is_told():
    drift = "env.drift={parameter:danger_factor,value:2.0,at_step:100}"
    words = ("env=ops_desk", "regime=in_the_loop", "overseer.miss_rate=0.1", drift)
    assert overseer_notes(plan([*words, "total_steps=1601"]).cells) == []
    (note,) = overseer_notes(plan([*words, "total_steps=1600"]).cells)
    assert "drift of danger_factor at step 100 of each lane was not reached" in note

"""Agreement: published examples, and who counts for what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looplab.oversight.live.analytics.agreement import agreement_of

from .conftest import ANN, BOB, CAT, Ledger


def test_krippendorffs_example_of_two_people_and_two_values() -> None:
    """Krippendorff 2011, "Computing Krippendorff's alpha-reliability", A: alpha = 0.095."""
    first, second = "0100000010", "1110010000"
    found = agreement_of({"a": a, "b": b} for a, b in zip(first, second, strict=True))
    assert (found.questions, found.people, found.pairs, found.alike) == (10, 2, 10, 0.6)
    assert found.alpha == pytest.approx(1 - 19 * 8 / (14 * 6 * 2))  # 0.0952


def test_krippendorffs_example_of_four_people_with_gaps() -> None:
    """The same, C: nominal data of four people, twelve units, gaps: alpha = 0.743."""
    said = {
        "a": "123321412...",
        "b": "1233224125.3",
        "c": ".3332342251.",
        "d": "12332441251.",
    }
    units = [
        {who: values[at] for who, values in said.items() if values[at] != "."} for at in range(12)
    ]
    found = agreement_of(units)
    assert (found.questions, found.people) == (11, 4)  # one of the twelve has a single answer
    assert found.alpha == pytest.approx(0.743, abs=0.0005)


def test_nobody_agrees_with_nobody_and_all_the_same_says_nothing_of_chance() -> None:
    nothing = agreement_of([{"a": 1}, {}])
    assert (nothing.questions, nothing.pairs, nothing.alike, nothing.alpha) == (0, 0, None, None)
    same = agreement_of([{"a": 1, "b": 1}, {"a": 1, "b": 1}])
    assert (same.alike, same.alpha) == (1.0, None)
    apart = agreement_of([{"a": 0, "b": 1}, {"a": 1, "b": 0}])
    assert (apart.alike, apart.alpha) == (0.0, pytest.approx(1 - 1 / (8 / 12)))


@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), st.booleans()), max_size=8),
    st.permutations("abcd"),
)
def test_agreement_does_not_ask_who_is_who(units: list[dict[str, bool]], names: list[str]) -> None:
    renamed = [{names["abcd".index(who)]: said for who, said in unit.items()} for unit in units]
    turned = [{who: not said for who, said in unit.items()} for unit in reversed(renamed)]
    found, again = agreement_of(units), agreement_of(turned)
    assert (found.questions, found.people, found.pairs) == (
        again.questions, again.people, again.pairs,
    )  # fmt: skip
    assert found.alike == again.alike
    assert found.alpha == pytest.approx(again.alpha)
    assert found.alpha is None or -1.0 <= found.alpha <= 1.0


def test_the_first_judgement_of_each_on_what_was_shown_alike(ledger: Ledger) -> None:
    """Three questions: Ann and Bob differ on one, all agree on one, one has one judgement."""
    said = {
        "one": ["reject", "approve", "modify"],  # pairs: apart, alike, apart
        "two": ["approve", "approve", "approve"],
        "three": ["approve"],
    }
    for turn, who in enumerate((ANN, BOB, CAT)):
        for text, verdicts in said.items():
            if turn < len(verdicts):
                ledger.ask(f"{text}{turn}", text)
                ledger.say(1, who, f"{text}{turn}:0", verdicts[turn])
    ledger.ask("again", "one")  # what Ann says the second time tells nothing of agreement
    ledger.say(1, ANN, "again:0", "approve")
    ledger.ask("passed", "three")
    ledger.say(1, ANN, "passed:0", "escalate")  # and to pass it on is no judgement
    ledger.say(1, BOB, "passed:0", "escalate")
    found = ledger.summary().agreement
    assert (found.questions, found.people, found.pairs) == (2, 3, 6)
    assert found.alike == pytest.approx(4 / 6)
    # Coincidences apart: question one has 4 ordered pairs of 3 people, 4 / (3 - 1) = 2.
    assert found.alpha == pytest.approx(1 - 2 * 5 / (36 - 16 - 4))

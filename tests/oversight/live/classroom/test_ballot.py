import pytest

from looplab.envs.errors import UsageError
from looplab.oversight.live.classroom.ballot import (
    ALPHABET,
    CODE_LENGTH,
    LONGEST_NAME,
    MOST_MEMBERS,
    MOST_TRIES,
    Ballot,
    clean,
)

from .conftest import CODE, Time


def test_codes_are_random_and_easy_to_read() -> None:
    codes = {Ballot().code for _ in range(50)}
    assert len(codes) == 50
    assert all(len(code) == CODE_LENGTH and set(code) <= set(ALPHABET) for code in codes)
    assert not set(ALPHABET) & set("0O1IL")


def test_a_wrong_code_lets_nobody_in_and_too_many_are_stopped(time: Time) -> None:
    ballot = Ballot(CODE, time)
    for _ in range(MOST_TRIES):
        with pytest.raises(UsageError, match="not the code"):
            ballot.join("Eve", "WRONG2", "10.0.0.7")
    with pytest.raises(UsageError, match="Too many"):
        ballot.join("Eve", CODE, "10.0.0.7")
    ballot.join("Ada", CODE.lower() + " ", "10.0.0.8")  # others are not held up
    time.seconds += 61.0
    ballot.join("Eve", CODE, "10.0.0.7")
    assert [member.name for member in ballot.present] == ["Ada", "Eve"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  Ada \n Lovelace ", "Ada Lovelace"),
        ("<b>Eve</b>", "<b>Eve</b>"),  # text, and shown as text
        ("x" * 1000, "x" * LONGEST_NAME),
        ("a\u202eb\x00c", "a b c"),
    ],
)
def test_names_are_one_short_line(given: str, shown: str) -> None:
    assert clean(given) == shown


def test_an_empty_name_and_a_full_class_are_refused(time: Time) -> None:
    ballot = Ballot(CODE, time)
    with pytest.raises(UsageError, match="give a name"):
        ballot.join(" \n", CODE)
    secrets = [ballot.join(f"s{place}", CODE) for place in range(MOST_MEMBERS)]
    with pytest.raises(UsageError, match="full"):
        ballot.join("late", CODE)
    ballot.leave(secrets[0])
    ballot.join("late", CODE)


def test_who_leaves_is_not_waited_for_and_may_come_back(time: Time) -> None:
    ballot = Ballot(CODE, time)
    ada, bob = ballot.join("Ada", CODE), ballot.join("Bob", CODE)
    ballot.vote(ada, True)
    ballot.vote(bob, False)
    ballot.leave(bob)
    assert ballot.votes == (1, 0)
    assert ballot.complete
    assert ballot.come_back(bob)
    assert not ballot.complete
    assert not ballot.come_back("nobody")
    with pytest.raises(UsageError, match="join first"):
        ballot.vote("nobody", True)


def test_a_reloaded_page_is_there_before_the_old_one_is_gone(time: Time) -> None:
    ballot = Ballot(CODE, time)
    ada = ballot.join("Ada", CODE)
    ballot.vote(ada, True)
    ballot.come_back(ada)
    ballot.leave(ada)
    assert ballot.votes == (1, 0)
    ballot.leave(ada)
    ballot.leave(ada)  # once more than there were pages
    assert ballot.present == []
    assert ballot.come_back(ada)
    assert [member.name for member in ballot.present] == ["Ada"]


def test_those_who_left_are_forgotten_in_the_end(time: Time) -> None:
    ballot = Ballot(CODE, time)
    for place in range(3 * MOST_MEMBERS):
        ballot.leave(ballot.join(f"s{place}", CODE))
    assert len(ballot._members) <= MOST_MEMBERS + 1

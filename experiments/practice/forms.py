"""Forms of a study: consent, workload and trust, as they are shown and as they are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AGREED, DECLINED = "I agree", "I do not agree"


@dataclass(frozen=True)
class Questionnaire:
    """A form and its words.

    Attributes:
        title: above it.
        text: what stands before the fields.
        fields: as ``messages.FieldIn`` has them.
        labels: by the names of the fields: ``label``, ``help``, ``left`` and ``right``.
        button: what sends it.
    """

    title: str
    text: tuple[str, ...]
    fields: tuple[Mapping[str, Any], ...]
    labels: Mapping[str, Mapping[str, str]]
    button: str = "Send"

    def shown(self) -> dict[str, Any]:
        """As ``LiveOverseer.fill_in`` takes it."""
        return {
            "title": self.title, "text": list(self.text), "button": self.button,
            "labels": {name: dict(wording) for name, wording in self.labels.items()},
        }  # fmt: skip


def _scales(low: float, high: float, names: Mapping[str, Mapping[str, str]]) -> Any:
    return tuple({"name": name, "low": low, "high": high} for name in names)


_TLX = {
    "mental_demand": {
        "label": "Mental demand", "help": "How mentally demanding was the task?",
        "left": "very low", "right": "very high",
    },
    "physical_demand": {
        "label": "Physical demand", "help": "How physically demanding was the task?",
        "left": "very low", "right": "very high",
    },
    "temporal_demand": {
        "label": "Temporal demand", "help": "How hurried or rushed was the pace of the task?",
        "left": "very low", "right": "very high",
    },
    "performance": {
        "label": "Performance",
        "help": "How successful were you in accomplishing what you were asked to do?",
        "left": "perfect", "right": "failure",
    },
    "effort": {
        "label": "Effort",
        "help": "How hard did you have to work to accomplish your level of performance?",
        "left": "very low", "right": "very high",
    },
    "frustration": {
        "label": "Frustration",
        "help": "How insecure, discouraged, irritated, stressed and annoyed were you?",
        "left": "very low", "right": "very high",
    },
}  # fmt: skip
_TRUST = {
    "confident": {
        "label": "I am confident in the agent.", "left": "not at all", "right": "extremely",
    },
    "reliable": {
        "label": "The agent is reliable.", "left": "not at all", "right": "extremely",
    },
    "trust": {
        "label": "I can trust the agent.", "left": "not at all", "right": "extremely",
    },
}  # fmt: skip

#: Questionnaires by name. The NASA Task Load Index (Hart & Staveland 1988) unweighted ("raw"), each
#: scale from 0 to 100 by fives; and three items of the trust scale of Jian, Bisantz & Drury (2000),
#: from 1 to 7.
QUESTIONNAIRES: dict[str, Questionnaire] = {
    "nasa_tlx": Questionnaire(
        "How was that for you?",
        ("Think of the questions that you have just answered. There is no right answer.",),
        _scales(0.0, 100.0, _TLX), _TLX,
    ),
    "trust": Questionnaire(
        "What do you think of the agent?",
        ("The agent is the program whose proposals you have just judged.",),
        _scales(1.0, 7.0, _TRUST), _TRUST,
    ),
}  # fmt: skip


def consent(title: str, text: str) -> Questionnaire:
    """The page with which a study begins.

    Args:
        title: of the study.
        text: what a participant must know; each line is a paragraph.
    """
    return Questionnaire(
        title,
        tuple(line for line in text.splitlines() if line.strip()),
        ({"name": "consent", "options": [AGREED, DECLINED]},),
        {"consent": {"label": "Do you want to take part?"}},
        "Go on",
    )


def notice(title: str, text: str, button: str = "Go on") -> Questionnaire:
    """A page that is read, and no more."""
    paragraphs = tuple(line for line in text.splitlines() if line.strip())
    return Questionnaire(title, paragraphs, (), {}, button)


def workload(values: Mapping[str, Any]) -> float:
    """The raw task load index: the mean of the six scales, from 0 to 100."""
    return sum(float(values[name]) for name in _TLX) / len(_TLX)

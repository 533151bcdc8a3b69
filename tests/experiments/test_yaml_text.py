"""YAML text."""

from pathlib import Path

import yaml

from looplab.experiments.yaml_text import read_yaml, yaml_text

CONTENT = {
    "b": [1, 2.5, None, True, {"deep": [[], {}]}],
    "a": "a text with 'quotes', ünïcode and: colons " * 4,
    "c": "two\nlines\n",
    "d": "1e-5",
    "e": 1e-05,
    "f": "no",
}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    text = yaml_text(CONTENT)
    (tmp_path / "file.yaml").write_text(text, encoding="utf-8")
    assert read_yaml(tmp_path / "file.yaml") == CONTENT
    assert yaml.safe_load(text) == CONTENT
    assert [line[0] for line in text.splitlines() if ":" in line and line[0] != " "][:2] == [
        "a", "b",
    ]  # fmt: skip

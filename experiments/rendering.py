"""Pages from templates: HTML that needs nothing from outside, and Markdown."""

import base64
import re
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).resolve().parent / "templates"
#: What Markdown or the HTML in it would read as more than a character.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def rendered(template: str, **values: Any) -> str:
    """Fills in a template; what is filled into HTML is text, never markup.

    Args:
        template: name of a file in ``templates``; ``.md.j2`` gives Markdown, else HTML.
        **values: what it shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=not template.endswith(".md.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment.get_template(template).render(**values)


def plain(text: object) -> str:
    r"""Text as Markdown shows it, also within a table.

    >>> print(plain("a|b <i> in_the_loop"))
    a\|b \<i\> in\_the\_loop
    """
    return _SPECIAL.sub(r"\\\1", str(text).replace("\n", " "))


def picture(png: Path) -> str:
    """A picture as an address that holds it."""
    content = base64.b64encode(png.read_bytes()).decode("ascii")
    return f"data:image/png;base64,{content}"

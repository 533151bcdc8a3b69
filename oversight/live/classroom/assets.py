"""Where the stage's script and style lie, for pages and recordings."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"

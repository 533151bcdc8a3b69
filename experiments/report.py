"""The report of a comparison: summary table, figures, and pages in HTML and in Markdown.

``write_report`` needs nothing but the results folder; what it writes can be made again at any time.
"""

from pathlib import Path

from looplab.experiments.cards import Card, cards
from looplab.experiments.claims import left_out, read_claims
from looplab.experiments.figures import FIGURES_FOLDER
from looplab.experiments.files import write_whole
from looplab.experiments.page import Page
from looplab.experiments.rendering import picture, rendered
from looplab.experiments.report_content import experiment_of, gathered
from looplab.experiments.result_folder import read_comparison
from looplab.experiments.trials import kind
from looplab.experiments.verdicts import VERDICTS_FILE, as_json, judge

SUMMARY_FILE = "summary.csv"
REPORT_FILE, MARKDOWN_FILE = "report.html", "report.md"


def write_report(folder: Path) -> Path:
    """Writes ``summary.csv``, ``figures/``, ``report.html`` and ``report.md`` into a folder.

    Of a named experiment also ``verdicts.json``.

    Args:
        folder: a results folder with ``results.parquet``, ``runs.parquet`` and ``comparison.json``.

    Returns:
        The path of ``report.html``.

    Raises:
        UsageError: if the folder is missing, damaged, or cannot be written.
    """
    page = kind(read_comparison(folder)).page(folder)
    write_whole(folder / SUMMARY_FILE, page.cells.to_csv(index=False).encode())
    claimed = _claimed(page)
    main = experiment_of(page).get("figure", "")
    figures = sorted(page.draw(), key=lambda figure: figure.stem != main)
    content = gathered(page, claimed, figures)
    pictures = {f.stem: picture(folder / FIGURES_FOLDER / f"{f.stem}.png") for f in figures}
    markdown = rendered("report.md.j2", content=content, folder=FIGURES_FOLDER)
    write_whole(folder / MARKDOWN_FILE, markdown.encode())
    html = rendered("report.html.j2", content=content, pictures=pictures)
    return write_whole(folder / REPORT_FILE, html.encode())


def _claimed(page: Page) -> list[Card]:
    """Judges the experiment's claims, and writes the verdicts where there is one."""
    experiment = experiment_of(page)
    if not experiment:
        return []
    claims = read_claims(experiment, measures=kind(page.comparison).measures())
    verdicts = judge(claims, page.seeds, page.axes)
    write_whole(page.path / VERDICTS_FILE, as_json(verdicts).encode())
    there = page.seeds[list(page.axes)].drop_duplicates().to_dict("records")
    return cards(claims, verdicts, left_out(claims, there))

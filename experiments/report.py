"""The report of a comparison: summary table, figures, and pages in HTML and in Markdown.

``write_report`` needs nothing but the results folder; what it writes can be made again at any time.
"""

from pathlib import Path

import pandas as pd

from looplab.experiments.cards import Card, cards
from looplab.experiments.claims import left_out, read_claims
from looplab.experiments.figures import FIGURES_FOLDER, draw
from looplab.experiments.files import write_whole
from looplab.experiments.metrics import per_seed, summary
from looplab.experiments.rendering import picture, rendered
from looplab.experiments.report_content import experiment_of, gathered
from looplab.experiments.result_folder import ResultFolder, load
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
    data = load(folder)
    seeds = per_seed(data.results, data.runs, data.axes)
    cells = summary(seeds, data.axes)
    write_whole(folder / SUMMARY_FILE, cells.to_csv(index=False).encode())
    claimed = _claimed(data, seeds)
    main = experiment_of(data).get("figure", "")
    figures = sorted(draw(data, seeds, cells), key=lambda figure: figure.stem != main)
    content = gathered(data, seeds, cells, claimed, figures)
    pictures = {f.stem: picture(folder / FIGURES_FOLDER / f"{f.stem}.png") for f in figures}
    markdown = rendered("report.md.j2", content=content, folder=FIGURES_FOLDER)
    write_whole(folder / MARKDOWN_FILE, markdown.encode())
    page = rendered("report.html.j2", content=content, pictures=pictures)
    return write_whole(folder / REPORT_FILE, page.encode())


def _claimed(data: ResultFolder, seeds: pd.DataFrame) -> list[Card]:
    """Judges the experiment's claims, and writes the verdicts where there is one."""
    experiment = experiment_of(data)
    if not experiment:
        return []
    claims = read_claims(experiment)
    verdicts = judge(claims, seeds, data.axes)
    write_whole(data.path / VERDICTS_FILE, as_json(verdicts).encode())
    there = seeds[list(data.axes)].drop_duplicates().to_dict("records")
    return cards(claims, verdicts, left_out(claims, there))

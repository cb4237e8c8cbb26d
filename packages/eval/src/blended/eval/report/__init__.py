"""The report of a pipeline: one HTML page that needs nothing else, and its table as Markdown, CSV and LaTeX.

`Report` holds plain inputs; nothing here reads a file but the template.
"""

from blended.eval.report.formats import Table, to_csv, to_latex, to_markdown
from blended.eval.report.records import (
    CorpusFacts,
    ExampleFrame,
    Provenance,
    Report,
    UnreadableClip,
    corpus_facts,
)
from blended.eval.report.render import render_html, render_markdown, report_figures, report_tables
from blended.eval.report.top_run import ClipResult, clip_results, worst_and_best

__all__ = [
    "ClipResult",
    "CorpusFacts",
    "ExampleFrame",
    "Provenance",
    "Report",
    "Table",
    "UnreadableClip",
    "clip_results",
    "corpus_facts",
    "render_html",
    "render_markdown",
    "report_figures",
    "report_tables",
    "to_csv",
    "to_latex",
    "to_markdown",
    "worst_and_best",
]

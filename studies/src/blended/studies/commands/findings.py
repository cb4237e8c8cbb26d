"""Printing what is wrong with a corpus, and deciding whether to go on."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from blended.data.atomic import write_text
from blended.data.errors import InputError
from blended.studies.progress import STDERR

if TYPE_CHECKING:
    from blended.data.findings import Finding

STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
MOST_PRINTED = 40


def write_findings(path: Path, findings: Sequence["Finding"]) -> None:
    """As a JSON list of level, clip_id and message."""
    write_text(path, json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")


def judge(findings: Sequence["Finding"], *, max_failures: int) -> None:
    """Prints findings; raises InputError for errors, but for up to `max_failures` clips that cannot be used.

    A wrong label or a leak is never tolerated: it is mended, or its clip is listed in `exclude.yaml`.
    """
    for finding in findings[:MOST_PRINTED]:
        where = f"{finding.clip_id}: " if finding.clip_id else ""
        STDERR.print(f"{finding.level}: {where}{finding.message}", style=STYLES[finding.level], markup=False)
    if len(findings) > MOST_PRINTED:
        STDERR.print(f"... and {len(findings) - MOST_PRINTED} more", style="dim")
    errors = [finding for finding in findings if finding.level == "error"]
    unusable = {finding.clip_id for finding in errors if finding.unusable}
    if not all(finding.unusable for finding in errors):
        raise InputError(
            f"{len(errors)} error(s), see above: mend them, or list the clips with a reason in the corpus's "
            f"exclude.yaml"
        )
    if len(unusable) > max_failures:
        raise InputError(
            f"{len(unusable)} clip(s) cannot be used, more than max_failures = {max_failures}: mend them, "
            f"list them with a reason in the corpus's exclude.yaml, or raise max_failures in params.yaml to "
            f"go on without them"
        )

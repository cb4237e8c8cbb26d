"""Labels on disk, in the columns of BLEMORE."""

import csv
import io
from collections.abc import Iterable

from blended.data.demo.script import Take, ordered

COLUMNS = (
    "filename",
    "video_id",
    "mix",
    "emotion_1",
    "emotion_2",
    "emotion_1_salience",
    "emotion_2_salience",
    "version",
    "situation",
    "intensity_level",
    "fold",
)


def table(takes: Iterable[Take]) -> str:
    """The takes as CSV, in the given order."""
    text = io.StringIO()
    writer: csv.DictWriter[str] = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(take) for take in takes)
    return text.getvalue()


def actor_table(takes: Iterable[Take]) -> str:
    """Who is seen in each take, without what is acted: an identity is no label."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("filename", "video_id"))
    writer.writerows((take.stem, take.actor) for take in takes)
    return text.getvalue()


def _row(take: Take) -> dict[str, object]:
    row: dict[str, object] = {
        "filename": take.stem,
        "video_id": take.actor,
        "mix": int(take.mixture.is_blend),
        "version": 1,
        "fold": "" if take.fold is None else take.fold,
    }
    shares = ordered(take.mixture)
    row["emotion_1"] = shares[0][0]
    if take.mixture.is_blend:
        row["emotion_2"] = shares[1][0]
        row["emotion_1_salience"], row["emotion_2_salience"] = (round(share) for _, share in shares)
    elif shares[0][0] == "neu":
        row["situation"] = take.level
    else:
        row["intensity_level"] = take.level
    return row

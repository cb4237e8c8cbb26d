"""The index of a corpus: one row for every clip with its labels and what was measured on its file.

As Parquet it is all that later steps need to know of a corpus; the media are opened again only to be
encoded.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from blended.data.atomic import replacing
from blended.data.checksums import (
    BLANK_SEAL,
    SEAL_KEY,
    DamagedError,
    check_seal_if_any,
    file_sha256,
    seal,
)
from blended.data.clip import Clip, Corpus, Finding
from blended.data.errors import InputError
from blended.data.labels import LabelSpace, Mixture, SoftLabel
from blended.data.measurement import Measurement
from blended.data.measurement_cache import MEASURED
from blended.data.measuring import measure_all

SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "path": pl.String(),
    "actor": pl.String(),
    "split": pl.String(),
    "fold": pl.Int32(),
    "mixture": pl.String(),
    "soft": pl.String(),
    **MEASURED,
}
"""Columns of the table. `path` is relative to the corpus folder, `mixture` and `soft` are JSON or null."""

METADATA = ("corpus", "synthetic", "has_media", "label_space", "remarks", "corpus_hash", "folder")
BESIDE = "beside"
"""The entry of metadata with the checksums of the files that are written with an index."""
REMEDY = "`blended data index` writes it anew"


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """A corpus and what was measured on its files."""

    corpus: Corpus
    """Clips with absolute paths."""
    folder: Path
    """The corpus folder, to which the paths of the table are relative."""
    table: pl.DataFrame
    """One row for every clip, in the order of the corpus; columns as in `SCHEMA`."""
    corpus_hash: str
    """SHA-256 in hex over labels and media: the identity of what is encoded and trained on."""


def build_index(
    corpus: Corpus,
    cache: Path,
    *,
    folder: Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Index:
    """Measures every clip of a corpus; a file that cannot be used has a `problem` and nulls.

    Of a corpus without media (labels only) nothing is measured and nothing is wrong with that.
    `cache` is a folder for what earlier runs measured (see `measuring`). `folder` is the corpus folder,
    by default the deepest one that holds all clips. `progress` is called with clips done and all clips.
    """
    if not corpus.clips:
        raise InputError(f"{corpus.name} has no clips: expected at least one, so check its folder")
    root = _absolute(
        folder or Path(os.path.commonpath({clip.path.absolute().parent for clip in corpus.clips}))
    )
    paths = [clip.path for clip in corpus.clips]
    if corpus.has_media:
        measurements = measure_all(paths, cache, workers=workers, progress=progress)
    else:
        measurements = [Measurement(None, None)] * len(paths)
    rows = [_row(clip, root, found) for clip, found in zip(corpus.clips, measurements, strict=True)]
    table = pl.DataFrame(rows, schema=SCHEMA)
    return Index(corpus, root, table, corpus_hash(corpus, table))


def corpus_hash(corpus: Corpus, table: pl.DataFrame) -> str:
    """SHA-256 over the labels and, by id, the hashes of the files; where the files lie does not matter."""
    media = sorted(zip(table["id"].to_list(), table["sha256"].to_list(), strict=True))
    return hashlib.sha256(json.dumps([corpus.label_hash(), media]).encode()).hexdigest()


def write_index(index: Index, path: Path, others: Iterable[Path] = ()) -> None:
    """Writes the index as Parquet; the corpus folder is stored relative to the file's own.

    `others` are files of its folder whose checksums it keeps (`check_beside`). Raises InputError for a corpus
    with an actor in two folds.
    """
    index.corpus.forbid_leaks()
    metadata = {
        "corpus": index.corpus.name,
        "synthetic": json.dumps(index.corpus.synthetic),
        "has_media": json.dumps(index.corpus.has_media),
        "remarks": json.dumps([asdict(remark) for remark in index.corpus.remarks]),
        "label_space": json.dumps(index.corpus.space.to_dict()),
        "corpus_hash": index.corpus_hash,
        "folder": Path(os.path.relpath(index.folder, path.parent)).as_posix(),
        BESIDE: json.dumps({other.name: file_sha256(other) for other in others}),
        SEAL_KEY: BLANK_SEAL,
    }
    with replacing(path) as temporary:
        index.table.write_parquet(temporary, metadata=metadata)
        seal(temporary)


def beside(path: Path) -> dict[Path, str]:
    """The files that were written with an index, and the SHA-256 that each had; none of before checksums."""
    listed = json.loads(pl.read_parquet_metadata(path).get(BESIDE, "{}"))
    return {path.with_name(name): sha256 for name, sha256 in listed.items()}


def check_beside(path: Path) -> None:
    """Raises DamagedError for files beside an index that are not as they were when it was written."""
    listed = beside(path).items()
    wrong = [str(one) for one, sha256 in listed if not one.is_file() or file_sha256(one) != sha256]
    if wrong:
        raise DamagedError(f"{', '.join(wrong)} damaged or missing: {REMEDY}")


def read_index(path: Path, folder: Path | None = None) -> Index:
    """The inverse of `write_index`.

    `folder` replaces the stored corpus folder where the media have been moved. Whether they are there is not
    checked. Raises InputError for a file that is missing, damaged or no index, whose hash does not fit its
    rows, or that has an actor in two folds.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist, expected the index of a corpus: run `blended data index`")
    try:
        check_seal_if_any(path)
        metadata = pl.read_parquet_metadata(path)
        table = pl.read_parquet(path)
    except DamagedError as damage:
        raise DamagedError(f"{damage}: {REMEDY}") from damage
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} is not a Parquet file ({error}): index the corpus again") from error
    missing = [name for name in METADATA if name not in metadata]
    if missing or dict(table.schema) != SCHEMA:
        raise InputError(f"{path} is not the index of a corpus as written by this version: index it again")
    root = _absolute(folder or path.parent / metadata["folder"])
    corpus = Corpus(
        metadata["corpus"],
        LabelSpace.from_dict(json.loads(metadata["label_space"])),
        tuple(_clip(row, root) for row in table.iter_rows(named=True)),
        json.loads(metadata["synthetic"]),
        json.loads(metadata["has_media"]),
        tuple(Finding(**remark) for remark in json.loads(metadata["remarks"])),
    )
    if corpus_hash(corpus, table) != metadata["corpus_hash"]:
        raise InputError(f"{path} has rows that its corpus hash does not fit: it was edited, so index again")
    corpus.forbid_leaks()
    return Index(corpus, root, table, metadata["corpus_hash"])


def _absolute(path: Path) -> Path:
    """Links are not followed: clips that are linked into a folder belong to it."""
    return Path(os.path.normpath(path.absolute()))


def _row(clip: Clip, root: Path, measurement: Measurement) -> dict[str, object]:
    return {
        "id": clip.id,
        "path": Path(os.path.relpath(clip.path, root)).as_posix(),
        "actor": clip.actor,
        "split": clip.split,
        "fold": clip.fold,
        "mixture": None if clip.mixture is None else clip.mixture.to_json(),
        "soft": None if clip.soft is None else json.dumps(asdict(clip.soft)),
        **asdict(measurement),
    }


def _clip(row: dict[str, object], root: Path) -> Clip:
    """The clip of a row of an index, whose columns have the types of `SCHEMA`."""
    fold, mixture, soft, split = row["fold"], row["mixture"], row["soft"], row["split"]
    assert fold is None or isinstance(fold, int)
    assert split in ("train", "test")
    return Clip(
        id=str(row["id"]),
        path=root / str(row["path"]),
        actor=str(row["actor"]),
        split=split,
        fold=fold,
        mixture=None if mixture is None else Mixture.from_json(str(mixture)),
        soft=None if soft is None else _soft(str(soft)),
    )


def _soft(text: str) -> SoftLabel:
    fields = json.loads(text)
    return SoftLabel(tuple(fields["emotions"]), tuple(fields["values"]), fields["kind"])

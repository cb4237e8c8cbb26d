"""Importing a corpus: from whatever was downloaded to a folder that its adapter reads.

The folder is put together beside its place and exchanged for it at the end: an import that fails or is killed
leaves the corpus that was there before.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import yaml

from blended.data.archives import DEFAULT_LIMITS, Limits, is_archive, unpack
from blended.data.atomic import replacing_folder, write_text
from blended.data.clip import Corpus
from blended.data.corpora import IMPORT_NAME, adapter_of, card, read_corpus, shipped_exclusions
from blended.data.corpora.adapter import EXCLUDE_NAME, Adapter
from blended.data.corpora.table import MEDIA
from blended.data.errors import InputError
from blended.data.splits import SPLITS_NAME, write_splits
from blended.data.store import locked

Progress = Callable[[int, int], None]
UNPACKED = ".unpacked"

# Written by us or by the user beside the recordings, whatever the corpus.
OWN_FILES = (EXCLUDE_NAME, card.CARD_NAME)


def import_corpus(
    name: str,
    source: Path,
    folder: Path,
    *,
    labels_only: bool = False,
    num_folds: int | None = None,
    seed: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    log: Callable[[str], None],
    progress: Progress | None = None,
) -> Corpus:
    """Makes `folder` the corpus of that name from a folder, a zip or a folder of zips; returns it.

    Recordings are hard-linked, or copied from another disk; tables are copied; zips are unpacked.
    `labels_only` leaves recordings out and remembers that. A list of clips to leave out that ships for the
    corpus is written as `exclude.yaml` where the source has none, and folds are written as `splits.csv` where
    none are published, so that a later version reads the same corpus. Raises InputError for a source that
    holds no such corpus and for whatever `read_corpus` refuses; `folder` is then as it was before.
    """
    adapter = adapter_of(name, source)
    if not source.exists():
        raise InputError(f"{source} does not exist: expected {adapter.holds}, so check the path")
    if folder.exists() and (
        source.resolve() == folder.resolve() or folder.resolve() in source.resolve().parents
    ):
        raise InputError(f"{source} lies in {folder}, which it would replace: import from another folder")
    with locked([folder], log), replacing_folder(folder) as made:
        num_files, num_skipped = _fill(made, source, adapter, labels_only, limits, progress)
        note = {"corpus": name, "source": source.name, "labels_only": labels_only, "seed": seed}
        write_text(made / IMPORT_NAME, yaml.safe_dump(note, sort_keys=False))
        if adapter.exclude and not (made / EXCLUDE_NAME).exists():
            shutil.copyfile(shipped_exclusions(adapter), made / EXCLUDE_NAME)
        corpus = _read(name, made, folder, num_folds, seed)
        if not adapter.has_published_folds:
            write_splits(corpus.clips, made / SPLITS_NAME)
    log(
        f"{folder}: {len(corpus.clips)} clips of {name} from {num_files} files; {num_skipped} files of "
        f"{source} are no part of it"
    )
    return read_corpus(name, folder)


def _read(name: str, made: Path, folder: Path, num_folds: int | None, seed: int) -> Corpus:
    """The corpus while it is put together; messages name its place to be."""
    try:
        return read_corpus(name, made, num_folds=num_folds, seed=seed)
    except InputError as error:
        message = str(error).replace(f"{made}{os.sep}", "").replace(str(made), folder.name)
        raise InputError(f"{message} (nothing was imported; {folder} is as it was)") from error


def _fill(
    made: Path,
    source: Path,
    adapter: Adapter,
    labels_only: bool,
    limits: Limits,
    progress: Progress | None,
) -> tuple[int, int]:
    """Puts every file of a source into its place; the number of files taken and passed over."""
    files = [*_files(source, made / UNPACKED, limits)]
    taken: dict[PurePosixPath, Path] = {}
    for number, (path, relative) in enumerate(files):
        if progress is not None:
            progress(number, len(files))
        target = PurePosixPath(path.name) if path.name in OWN_FILES else adapter.place(relative)
        if target is None or (labels_only and target.suffix.lower() in MEDIA):
            continue
        if target in taken:
            raise InputError(
                f"{path} and {taken[target]} are both {target.as_posix()} of the corpus: remove one of them "
                f"from the source"
            )
        taken[target] = path
        _link(path, made.joinpath(*target.parts))
    if progress is not None:
        progress(len(files), len(files))
    if all(path.name in OWN_FILES for path in taken.values()):
        beside = " beside its recordings" if labels_only else ""
        raise InputError(f"{source} has nothing of the corpus{beside}: expected {adapter.holds}")
    shutil.rmtree(made / UNPACKED, ignore_errors=True)
    return len(taken), len(files) - len(taken)


def _files(source: Path, unpacked: Path, limits: Limits) -> Iterator[tuple[Path, PurePosixPath]]:
    """Every file of a source and its place there, archives unpacked; hidden files are none."""
    if source.is_file():
        if not is_archive(source):
            yield source, PurePosixPath(source.name)
            return
        found, base = [source], source.parent
    else:
        found, base = sorted(path for path in source.rglob("*") if path.is_file()), source
    for path in found:
        relative = path.relative_to(base)
        if any(part.startswith(".") for part in relative.parts):
            continue
        if is_archive(path):
            # Named by its place: two folders may hold an archive of one name.
            target = unpacked / f"{len([*unpacked.glob('*')]):04d}"
            unpack(path, target, limits)
            inner = sorted(file for file in target.rglob("*") if file.is_file())
            yield from ((file, PurePosixPath(*file.relative_to(target).parts)) for file in inner)
        else:
            yield path, PurePosixPath(*relative.parts)


def _link(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix.lower() not in MEDIA:
        # People edit tables in place: what they are about to import must not change what they have.
        shutil.copy2(path, target)
        return
    try:
        os.link(path.resolve(), target)
    except OSError:  # another disk, a file system without hard links, or a file of somebody else
        shutil.copy2(path, target)

"""From a stored run to the file that the organisers take."""

from collections.abc import Callable, Mapping
from pathlib import Path

from blended.data import InputError, Mixture
from blended.data.index import Index, read_index
from blended.eval.official import read_submission, submission, validate_submission, write_submission
from blended.studies.folders import Folders
from blended.studies.models import artifacts_of
from blended.studies.run_files import unchecked
from blended.studies.runs import Run, read_run


def submit_run(run: str, folders: Folders, out: Path, log: Callable[[str], None]) -> int:
    """Writes a run's test decisions to `out` and reads them back; returns the number of clips.

    Says where the run is of before checksums. Raises InputError for a run without test decisions, of another
    version of the corpus or with damaged files, and for decisions that break a rule of the challenge.
    """
    artifacts = artifacts_of(run, folders)
    stored, index = _stored(artifacts.parent, folders)
    if not stored.checked:
        log(unchecked(artifacts, stored.recipe))
    names = {clip.id: clip.path.name for clip in index.corpus.test}
    mapping = submission({names.get(clip_id, clip_id): m for clip_id, m in _decided(stored, index).items()})
    validate_submission(mapping, names.values(), index.corpus.space)
    write_submission(out, mapping)
    return len(validate_submission(read_submission(out), names.values(), index.corpus.space))


def _stored(folder: Path, folders: Folders) -> tuple[Run, Index]:
    index = read_index(folders.index(folder.parent.name))
    stored = read_run(folder, index.corpus.space)
    if stored is None:
        raise InputError(f"{folder} holds no finished run: train it, or name another")
    if stored.corpus_hash != index.corpus_hash:
        raise InputError(
            f"the run {stored.recipe!r} was made from another version of the corpus than is indexed now: "
            f"`dvc repro`, then submit"
        )
    return stored, index


def _decided(stored: Run, index: Index) -> Mapping[str, Mixture]:
    if index.corpus.space.task != "mixture":
        raise InputError(
            f"{index.corpus.name} is not labelled with blends: the challenge has no place for it"
        )
    if not index.corpus.test:
        raise InputError(f"the corpus {index.corpus.name} has no test clips: there is nothing to submit")
    if stored.test is None:
        raise InputError(
            f"the run {stored.recipe!r} has no answers for the test clips: it is normalised per actor, and "
            f"nobody says who is seen in them; submit a run with `normalise: none`"
        )
    return dict(zip(stored.test.clip_ids, stored.test.decided, strict=True))

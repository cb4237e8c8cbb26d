"""From recordings to features on disk: a corpus brought in, indexed, encoded; features of others imported.

Everything goes on where it stopped, and what is there already is not made again.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from blended.data.errors import InputError, unknown_name
from blended.studies.corpus_params import CorpusParams, CorpusSource, FeatureParams, with_name
from blended.studies.folders import Folders

if TYPE_CHECKING:
    from blended.data.clip import Finding
    from blended.data.index import Index
    from blended.encoders.encoder import EncoderConfig
    from blended.encoders.extract import Engine

Log = Callable[[str], None]
Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Title -> a progress bar that is moved by (done, in all), such as `progress.clips_progress`."""
Judge = Callable[[Sequence["Finding"]], None]
"""Is shown what is odd about a corpus before it is judged."""


def prepare_corpus(params: CorpusParams, folders: Folders, *, workers: int, log: Log, bar: Bar) -> None:
    """Puts the chosen corpus into data/corpora: renders the demo, or imports recordings from their source."""
    given = params.corpora.source(params.corpus)
    if given is not None:
        import_source(params.corpus, given, folders, log=log, bar=bar)
        return
    from blended.data.demo.render import render

    with bar(params.corpus) as progress:
        render(params.corpora.demo, folders.corpus("demo"), workers=workers, log=log, progress=progress)


def import_source(name: str, given: CorpusSource, folders: Folders, *, log: Log, bar: Bar) -> None:
    """Brings a corpus in, whole or not at all; raises InputError for whatever cannot be read."""
    from blended.data.importing import import_corpus

    with bar(f"import {name}") as progress:
        import_corpus(
            name,
            given.source,
            folders.corpus(name),
            labels_only=given.labels_only,
            num_folds=given.num_folds,
            seed=given.seed,
            log=log,
            progress=progress,
        )


def index_corpus(
    name: str, folders: Folders, *, max_failures: int, workers: int, bar: Bar, show: Judge
) -> "Index":
    """Measures and checks every clip and writes data/index; raises InputError for what must be mended."""
    from blended.data.findings import check
    from blended.data.index import write_index
    from blended.data.splits import write_splits

    made = measured(name, folders, workers=workers, bar=bar)
    findings = check(made)
    show(findings)
    judge(findings, max_failures=max_failures)
    beside = (folders.findings(name), folders.splits(name))
    write_findings(beside[0], findings)
    write_splits(made.corpus.clips, beside[1])
    write_index(made, folders.index(name), beside)
    return made


def measured(name: str, folders: Folders, *, workers: int, bar: Bar) -> "Index":
    """The index of a corpus as it is now, in two passes with a bar each; what is known is not read again."""
    from blended.data.corpora import read_corpus
    from blended.data.index import build_index
    from blended.data.measuring import inspect_all

    folder = folders.corpus(name)
    corpus = read_corpus(name, folder)
    if corpus.has_media:
        with bar("probe and hash") as progress:
            paths = [clip.path for clip in corpus.clips]
            inspect_all(paths, folders.cache, workers=workers, progress=progress)
    with bar("look and listen") as progress:
        return build_index(corpus, folders.cache, folder=folder, workers=workers, progress=progress)


def write_findings(path: Path, findings: Iterable["Finding"]) -> None:
    """As a JSON list of level, clip_id and message."""
    from blended.data.atomic import write_text

    write_text(path, json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")


def judge(findings: Sequence["Finding"], *, max_failures: int) -> None:
    """Raises InputError for errors, but for up to `max_failures` clips that cannot be used.

    A wrong label or a leak is never tolerated: it is mended, or its clip is listed in `exclude.yaml`.
    """
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


def extract_features(
    names: Sequence[str],
    params: FeatureParams,
    folders: Folders,
    *,
    log: Log,
    bar: Bar,
    workers: int,
    device: str = "cpu",
    max_failures: int | None = None,
    weights: Mapping[str, Path] | None = None,
    weights_folder: Path | None = None,
    random_weights: bool = False,
    compiled: bool = False,
    engine: "Engine | None" = None,
) -> None:
    """Fills the feature stores of encoders of params.yaml for the clips of its corpus, which is indexed.

    Trained weights are those of `weights`, else of params.yaml, else of the folder of fetched ones. Raises
    InputError for an encoder that params.yaml does not have, and for more unreadable clips than tolerated.
    """
    from blended.data.index import read_index
    from blended.encoders.extract import extract
    from blended.encoders.weights import resolve

    configs = encoders_of(names, params)
    of_params = {name: Path(text) for name, text in params.weights.items() if name in names}
    files = resolve(
        configs,
        weights_folder or fetched_weights(),
        given={**of_params, **(weights or {})},
        random=random_weights,
    )
    index = read_index(folders.index(params.corpus))
    for sentence in sizes_in_words(configs, index):
        log(sentence)
    with bar(" + ".join(names)) as progress:
        extract(
            index.corpus.clips,
            configs,
            folders.features(index.corpus.name),
            corpus_hash=index.corpus_hash,
            log=log,
            progress=progress,
            weights=files,
            workers=workers,
            device=device,
            compiled=compiled,
            engine=engine,
            max_failures=params.max_failures if max_failures is None else max_failures,
        )


def is_extracted(name: str, params: FeatureParams, index: "Index", folders: Folders) -> bool:
    """Whether there are finished features of an encoder, made from these clips with its settings and code."""
    from blended.data.store import FeatureStore
    from blended.encoders.encoder import RANDOM
    from blended.encoders.identity import identity_of

    (encoder,) = encoders_of([name], params)
    folder = folders.features(index.corpus.name) / encoder.name
    try:
        made = FeatureStore(folder).identity
    except InputError:
        return False
    expected = identity_of(encoder, index.corpus_hash, RANDOM if encoder.weighted else None)
    return not replace(made, weights=expected.weights).differences(expected)


def encoders_of(names: Sequence[str], params: FeatureParams) -> "list[EncoderConfig]":
    """The encoders as params.yaml has them; raises InputError for one that it does not have."""
    from blended.encoders.table import encoder_config

    for name in names:
        if name not in params.encoders:
            raise unknown_name("encoder of params.yaml", name, params.encoders)
    return [encoder_config(with_name(name, params.encoders[name])) for name in names]


def fetched_weights() -> Path:
    """The folder of trained weights that were fetched: $BLENDED_WEIGHTS, or one in the user's cache."""
    from blended.encoders.weights import default_folder

    return default_folder(os.environ)


def sizes_in_words(configs: "Sequence[EncoderConfig]", index: "Index") -> list[str]:
    """What the features will take on disk, before anything is computed."""
    from blended.encoders.table import size_in_words

    seconds = [length for length in index.table["duration_seconds"] if length is not None]
    return [words for config in configs if (words := size_in_words(config, seconds))]


def import_foreign_features(
    name: str, index: "Index", params: FeatureParams, folders: Folders, *, log: Log, bar: Bar
) -> None:
    """Brings features that somebody else extracted, an entry of `imported`, into a feature store."""
    from blended.data.foreign import import_features

    if name not in params.imported:
        raise unknown_name("imported features of params.yaml", name, params.imported)
    seconds = dict(zip(index.table["id"], index.table["duration_seconds"], strict=True))
    with bar(f"import {name}") as progress:
        import_features(
            params.imported[name].source,
            folders.features(index.corpus.name),
            params.imported[name].config(name),
            seconds,
            corpus_hash=index.corpus_hash,
            log=log,
            progress=progress,
            max_failures=params.max_failures,
        )

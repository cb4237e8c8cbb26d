"""Gathering everything that the report says: stored runs, trivial baselines, corpus, findings, frames."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Float

from blended.data import Clip, Corpus, InputError, Mixture
from blended.data.atomic import replacing, write_text
from blended.data.corpora import ceiling, groups, held_out_truth
from blended.data.index import Index, check_beside, read_index
from blended.data.labels import EMOTION_NAMES, Task
from blended.data.media import read_frames
from blended.eval.decisions import trivial_decisions
from blended.eval.estimate import Estimate
from blended.eval.evaluation import Evaluation, evaluate
from blended.eval.figures.style import picture_png, png
from blended.eval.measures import measures_of, spread_of
from blended.eval.predictions import Predictions
from blended.eval.protocol import Protocol
from blended.eval.report import (
    CorpusFacts,
    ExampleFrame,
    Provenance,
    Report,
    UnreadableClip,
    clip_results,
    corpus_facts,
    render_html,
    render_markdown,
    report_figures,
    report_tables,
    to_csv,
    to_latex,
    worst_and_best,
)
from blended.eval.run_record import RunRecord, rank
from blended.eval.tasks import TASKS
from blended.studies.folders import Folders
from blended.studies.identity import git_commit
from blended.studies.params import Params
from blended.studies.plans import code_notes, read_records, stale_runs
from blended.studies.run_files import unchecked_runs
from blended.studies.runs import Run, read_run, record_of, truth_of

TRAINING_PROTOCOL = (
    "For every reported fold the number of epochs was chosen on the fold after it, by a model that saw "
    "neither; the model was then trained again without the reported fold for that long."
)
DISTRIBUTIONS = ("blended-studies", "torch", "mlflow", "dvc")


def gather_report(
    params: Params, folders: Folders, *, log: Callable[[str], None], show_people: bool = False
) -> Report:
    """The report of all complete runs of the chosen corpus; pictures of real people only if asked for.

    Says which runs are of before checksums. Raises InputError if a recipe has no run, a run was made from
    another corpus than is indexed, or files are not as they were written.
    """
    index = read_index(folders.index(params.corpus))
    check_beside(folders.index(params.corpus))
    runs = _stored(params, folders, index)
    if old := [run.recipe for run in runs if not run.checked]:
        log(unchecked_runs(old))
    kept = _common_clips(runs)
    folder = folders.corpus(params.corpus)
    truth_of_test = held_out_truth(params.corpus, folder) if index.corpus.test else {}
    records = [_record(run, index.corpus, kept, truth_of_test) for run in runs]
    top = rank(records)[0]
    decides = TASKS[index.corpus.space.task].decides
    probabilities = {run.recipe: _kept(run.train, kept).probabilities for run in runs} if decides else {}
    trivial = trivial_decisions(index.corpus.space) if decides else ()
    records += [_trivial(records[0], runs[0], index.corpus, kept, name) for name in trivial]
    seen = index.corpus.synthetic or show_people
    return Report(
        title=f"Blended emotions: {params.corpus}",
        corpus=_facts(index),
        space=index.corpus.space,
        records=tuple(records),
        provenance=Provenance(
            git_commit=_commit(folders.root),
            command="make repro",
            versions={name: version(name) for name in DISTRIBUTIONS},
            made_on=datetime.now(UTC).strftime("%d %B %Y"),
        ),
        training_protocol=TRAINING_PROTOCOL,
        notes=tuple(
            code_notes(read_records([*params.recipes], params.corpus, folders), folders, params.corpus)
        ),
        ceilings=ceiling(params.corpus, folder),
        unreadable=tuple(UnreadableClip(*pair) for pair in sorted(_unreadable(params, folders).items())),
        findings=_findings(folders.findings(params.corpus)),
        frames=_example_frames(index.corpus) if seen and index.corpus.has_media else (),
        probabilities=probabilities,
        clip_pictures=_clip_pictures(index.corpus, top, probabilities[top.name])
        if seen and decides and index.corpus.has_media
        else {},
        show_people=show_people,
        groups=groups(params.corpus, top.clip_ids),
        enrolment={run.recipe: run.extras.enrolment for run in runs if run.extras.enrolment},
        importance={run.recipe: run.extras.importance for run in runs if run.extras.importance is not None},
        predictors={run.recipe: run.extras.predictors for run in runs if run.extras.predictors},
        weights={run.recipe: run.extras.weights for run in runs if run.extras.weights is not None},
        without={run.recipe: run.extras.without for run in runs if run.extras.without},
        emotion_names={name: EMOTION_NAMES.get(name, name) for name in index.corpus.space.emotions},
    )


def write_report(report: Report, folder: Path) -> Path:
    """Writes the page, its tables (Markdown, CSV, LaTeX) and figures (PNG); returns the page."""
    write_text(folder / "table.md", render_markdown(report))
    for name, table in report_tables(report).items():
        write_text(folder / "tables" / f"{name}.csv", to_csv(table))
        write_text(folder / "tables" / f"{name}.tex", to_latex(table))
    for name, figure in report_figures(report).items():
        with replacing(folder / "figures" / f"{name}.png") as temporary:
            temporary.write_bytes(png(figure))
    page = folder / "index.html"
    write_text(page, render_html(report))
    return page


def mark_stale_runs(report: Report, params: Params, folders: Folders) -> list[str]:
    """Tags tracked runs that are stale and takes the tag from those that are not any more.

    Which have it is noted beside the caches, so that nobody waits for MLflow where nothing has changed.
    Returns the runs that MLflow does not know.
    """
    corpus = params.corpus
    names = stale_runs(read_records([*params.recipes], corpus, folders), folders, corpus)
    stale = {run.run_id for run in report.records if run.name in names and run.run_id}
    noted = folders.cache / "stale" / f"{corpus}.json"
    before = set[str](json.loads(noted.read_text(encoding="utf-8"))) if noted.is_file() else set[str]()
    if stale == before:
        return []
    from blended.studies.tracking import default_uri, mark_stale

    unknown = mark_stale(stale, before - stale, default_uri(folders.root))
    write_text(noted, json.dumps(sorted(stale)))
    return list(unknown)


def _stored(params: Params, folders: Folders, index: Index) -> list[Run]:
    runs: list[Run] = []
    for name in params.recipes:
        run = read_run(folders.run(params.corpus, name), index.corpus.space)
        if run is None:
            raise InputError(f"recipe {name!r} has no finished run: `blended train {name}`, or `dvc repro`")
        if run.corpus_hash != index.corpus_hash:
            raise InputError(
                f"run {name!r} was made from another version of the corpus than is indexed now: `dvc repro`"
            )
        runs.append(run)
    if not runs:
        raise InputError(f"{folders.params} has no recipes: add one to have something to compare")
    return runs


def _common_clips(runs: Sequence[Run]) -> frozenset[str]:
    """Clips that every run has: differences between runs are paired."""
    return frozenset(runs[0].train.clip_ids).intersection(*(run.train.clip_ids for run in runs[1:]))


def _record(
    run: Run, corpus: Corpus, kept: frozenset[str], truth_of_test: Mapping[str, Mixture]
) -> RunRecord:
    train, protocol = _kept(run.train, kept), run.config.protocol
    mixture = corpus.space.task == "mixture"
    official = run.config.official_protocol
    return replace(
        record_of(run, train),
        # Only thresholds have an in-fold counterpart, and theirs is to be held against themselves.
        in_fold=_evaluate(train, corpus, official) if mixture else None,
        thresholds=_evaluate(train, corpus, replace(official, tune="cross-fold"))
        if mixture and protocol.decision != "thresholds"
        else None,
        test=_test_estimates(run.test, truth_of_test, corpus.space.task),
    )


def _trivial(like: RunRecord, run: Run, corpus: Corpus, kept: frozenset[str], name: str) -> RunRecord:
    train = _kept(run.train, kept)
    return RunRecord(
        name=name,
        strategy=name,
        features=(),
        modalities=(),
        truth=like.truth,
        clip_ids=like.clip_ids,
        actors=like.actors,
        folds=like.folds,
        cross_fold=_evaluate(train, corpus, Protocol(name)),
        task=like.task,
    )


def _kept(predictions: Predictions, kept: frozenset[str]) -> Predictions:
    """The predictions of the given clips."""
    return predictions.take([row for row, clip_id in enumerate(predictions.clip_ids) if clip_id in kept])


def _evaluate(predictions: Predictions, corpus: Corpus, protocol: Protocol) -> Evaluation:
    return evaluate(predictions.evidence(corpus.space), truth_of(predictions), protocol)


def _test_estimates(
    test: Predictions | None, truth: Mapping[str, Mixture], task: Task
) -> Mapping[str, Estimate] | None:
    """The held-out partition's score, where its truth is known."""
    if test is None or not truth:
        return None
    true, measures = [truth[clip_id] for clip_id in test.clip_ids], measures_of(task)
    actors = np.unique(np.array(test.actors), return_inverse=True)[1].astype(np.int64)
    found = spread_of(measures, true, [*test.decided], actors, np.zeros_like(actors)).estimates
    return {one.key: estimate for one, estimate in zip(measures, found, strict=True)}


def _facts(index: Index) -> CorpusFacts:
    return corpus_facts(index.corpus)


def _commit(root: Path) -> str:
    commit = git_commit(root)
    return f"{commit.sha} + changes" if commit.dirty else commit.sha


def _unreadable(params: Params, folders: Folders) -> dict[str, str]:
    from blended.data.store import FeatureStore

    reasons: dict[str, str] = {}
    for name in params.encoders:
        for clip_id, reason in FeatureStore(folders.features(params.corpus) / name).failures.items():
            reasons[clip_id] = f"{name}: {reason}"
    return reasons


def _findings(path: Path) -> tuple[str, ...]:
    fields = json.loads(path.read_text(encoding="utf-8"))
    return tuple(
        f"{one['level'].capitalize()}: {one['clip_id'] + ': ' if one['clip_id'] else ''}{one['message']}"
        for one in fields
    )


def _clip_pictures(
    corpus: Corpus, top: RunRecord, probabilities: Float[np.ndarray, "clip emotion"]
) -> dict[str, bytes]:
    """One frame, half way, of every clip that the top run reads worst or best."""
    clips = {clip.id: clip for clip in corpus.train}
    worst, best = worst_and_best(clip_results(top, probabilities, corpus.space))
    return {one.clip_id: _middle_frame(clips[one.clip_id]) for one in (*worst, *best)}


def _middle_frame(clip: Clip) -> bytes:
    pixels = read_frames(clip.path).values
    return picture_png(pixels[len(pixels) // 2])


def _example_frames(corpus: Corpus) -> tuple[ExampleFrame, ...]:
    """One frame, half way, of a strongly acted clip per emotion and of two blends, each of another actor."""
    frames: list[ExampleFrame] = []
    actors: set[str] = set()
    for state in (*(s for s in corpus.space.states if not s.is_blend), *_two_blends(corpus)):
        clips = [clip for clip in corpus.train if clip.mixture == state]
        clip = next((c for c in reversed(clips) if c.actor not in actors), clips[-1] if clips else None)
        if clip is None:
            continue
        actors.add(clip.actor)
        frames.append(ExampleFrame(_middle_frame(clip), f"{clip.actor}: {state.name}"))
    return tuple(frames)


def _two_blends(corpus: Corpus) -> list[Mixture]:
    blends = [state for state in corpus.space.states if state.is_blend]
    return [blends[0], blends[-1]] if blends else []

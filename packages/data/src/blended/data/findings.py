"""What is odd about a corpus, graded: what breaks a run, what may spoil it, what one should know."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl

from blended.data.clip import LEVELS, Clip, Finding
from blended.data.index import Index
from blended.data.splits import strata

# BLEMORE's own voices lie near -65 dBFS: quiet is not silent.
SILENT_BELOW_DBFS = -100.0
CLIPPED_SHARE = 0.01
# An acted clip's sound ends with its picture up to a few packets of either.
SHORTER_BY_SECONDS = 0.5
UNEVEN_BY = 1.5


def check(index: Index) -> list[Finding]:
    """Everything that is odd about an indexed corpus, most urgent first, then in the order of clips."""
    found = [*index.corpus.remarks, *(_tracks(index) if index.corpus.has_media else _no_media(index))]
    for row in index.table.iter_rows(named=True):
        if row["problem"] is not None:
            found.append(Finding("error", row["id"], row["problem"], unusable=True))
        else:
            found += _sound(row)
            found += _picture(row)
    found += _leaks(index)
    found += _copies(index)
    found += _balance(index)
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def _no_media(index: Index) -> Iterator[Finding]:
    message = (
        f"labels only: the {len(index.corpus.clips)} clips have no recordings here, so features must be "
        f"imported and nothing can be encoded"
    )
    yield Finding("note", "", message)


def _tracks(index: Index) -> Iterator[Finding]:
    """Missing tracks: one finding for a corpus without any, one for every clip of a mixed corpus."""
    readable = index.table.filter(pl.col("problem").is_null())
    for column, what, sense in (("audio_codec", "audio", "look"), ("video_codec", "video", "listen")):
        lacking = readable.filter(pl.col(column).is_null())["id"].to_list()
        if lacking and len(lacking) == readable.height:
            yield Finding("note", "", f"no clip has {what}: choose encoders that only {sense}")
        else:
            for clip_id in lacking:
                message = f"no {what} track, while other clips have one: restore it or leave the clip out"
                yield Finding("error", clip_id, message, unusable=True)


def _sound(row: dict[str, Any]) -> Iterator[Finding]:
    clip_id = row["id"]
    if row["audio_codec"] is None:
        return
    if row["loudness_dbfs"] < SILENT_BELOW_DBFS:
        message = f"the sound is silent ({row['loudness_dbfs']:.0f} dBFS): check the recording of the voice"
        yield Finding("warning", clip_id, message)
    if row["clipped_share"] > CLIPPED_SHARE:
        message = (
            f"{row['clipped_share']:.0%} of the sound is at full scale: it is clipped, so export it with "
            f"less gain"
        )
        yield Finding("warning", clip_id, message)
    if row["video_seconds"] is not None and row["video_seconds"] - row["audio_seconds"] > SHORTER_BY_SECONDS:
        message = (
            f"the sound lasts {row['audio_seconds']:.2f} s, the picture {row['video_seconds']:.2f} s: check "
            f"whether the sound is cut off"
        )
        yield Finding("warning", clip_id, message)


def _picture(row: dict[str, Any]) -> Iterator[Finding]:
    if row["constant_rate"] is False:
        message = (
            f"the frame rate varies around {row['fps']:.1f} a second: frames are chosen by their timestamps, "
            f"so nothing needs to be done"
        )
        yield Finding("note", row["id"], message)


def _leaks(index: Index) -> Iterator[Finding]:
    """Actors in two folds, or in a fold and the test partition."""
    places: dict[str, dict[str, list[str]]] = {}
    for clip in index.corpus.clips:
        if clip.actor:
            places.setdefault(clip.actor, {}).setdefault(_place(clip), []).append(clip.id)
    for actor, ids in places.items():
        if len(ids) > 1:
            found = " and in ".join(f"{place} ({_some(clips)})" for place, clips in ids.items())
            message = (
                f"actor {actor!r} is in {found}: expected every actor in one fold, or a model is judged on a "
                f"person whom it was trained on; correct the folds, or list clips in exclude.yaml"
            )
            yield Finding("error", "", message)


def _some(clips: list[str]) -> str:
    return clips[0] if len(clips) == 1 else f"{len(clips)} clips such as {clips[0]}"


def _copies(index: Index) -> Iterator[Finding]:
    """Files with the same bytes; in two folds, or in training and test, they leak what is tested."""
    by_hash: dict[str, list[Clip]] = {}
    for clip, sha256 in zip(index.corpus.clips, index.table["sha256"].to_list(), strict=True):
        if sha256 is not None:
            by_hash.setdefault(sha256, []).append(clip)
    for first, *others in by_hash.values():
        for other in others:
            if (first.split, first.fold) != (other.split, other.fold):
                message = (
                    f"the same file as {first.id!r}, which is in {_place(first)} while this is in "
                    f"{_place(other)}: remove one, or what is tested has been trained on"
                )
                yield Finding("error", other.id, message)
            else:
                message = f"the same file as {first.id!r}: remove one, or it counts twice"
                yield Finding("warning", other.id, message)


def _place(clip: Clip) -> str:
    return "the test partition" if clip.split == "test" else f"fold {clip.fold}"


def _balance(index: Index) -> Iterator[Finding]:
    """How the training clips are spread over folds, actors and emotion sets."""
    train = index.corpus.train
    folds = Counter(clip.fold for clip in train)
    if folds:
        counts = ", ".join(f"fold {fold}: {folds[fold]}" for fold in index.corpus.folds)
        yield Finding("note", "", f"training clips by {counts}; test clips: {len(index.corpus.test)}")
    actors = Counter(clip.actor for clip in train)
    for what, counts, advice in (
        ("actors", actors, "report intervals over actors"),
        ("emotion sets", strata(train), "compare with what always guessing the most frequent gives"),
    ):
        if counts and max(counts.values()) > UNEVEN_BY * min(counts.values()):
            (most, high), (least, low) = counts.most_common()[0], counts.most_common()[-1]
            message = f"{what} are uneven, from {low} ({least}) to {high} ({most}) training clips: {advice}"
            yield Finding("note", "", message)

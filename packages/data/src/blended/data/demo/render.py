"""Rendering the corpus into a folder: clip by clip, in any order, by any number of processes.

A clip is H.264 and AAC in an MP4 container; a data card lies beside the clips.
"""

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from blended.data.atomic import replacing, write_text
from blended.data.checksums import MANIFEST, faults_of, write_manifest
from blended.data.demo.actors import cast
from blended.data.demo.config import GENERATOR, DemoConfig
from blended.data.demo.oracle import ceiling
from blended.data.demo.paint import Painter
from blended.data.demo.performance import VIDEO_RATE_HZ, Performance, move, perform
from blended.data.demo.script import (
    PICTURE_STREAM,
    SOUND_STREAM,
    Take,
    actor_names,
    actor_table,
    random,
    table,
    takes,
)
from blended.data.demo.signatures import Array
from blended.data.demo.still import Picture
from blended.data.demo.voice import AUDIO_RATE_HZ, synthesise
from blended.data.errors import InputError

IDENTITY = ".config.json"
"""Says which corpus a folder holds, from before the first clip is written."""

LABELS = ("test_actors.csv", "apart/test_metadata.csv", "train_metadata.csv")
DESCRIBED = ("DATACARD.md", "ceiling.json", *LABELS)
"""What is written beside the clips."""

CLIPS_PER_BATCH = 9
"""Clips of one actor that a process renders at a time; they share what does not change."""

# One thread: with more, what x264 writes depends on the number of cores. No macroblock tree: with it, the
# same pictures are not always coded the same way, even by one thread of one process.
VIDEO_OPTIONS = {"preset": "veryfast", "crf": "23", "threads": "1", "x264-params": "mbtree=0"}
AUDIO_OPTIONS = {"aac_coder": "fast"}
"""A fifth of the default coder's time; at this bit rate it keeps the spectrum as well."""
AUDIO_BITS_PER_SECOND = 64_000
"""At 64 kbit/s AAC keeps the spectrum within 0.3 dB down to -75 dBFS; at 32 kbit/s it does not."""
AUDIO_BLOCK = 1024

Batch = tuple[DemoConfig, Path, tuple[Take, ...]]


def render(
    config: DemoConfig,
    folder: Path,
    *,
    workers: int,
    log: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Renders the corpus of `config` into `folder`; labels are written last.

    After an interruption, a second call continues with the clips that are missing, and renders anew what is
    damaged; the result does not depend on that nor on `workers`. `progress` is called with (clips done, clips
    in all).

    Raises InputError if `folder` holds anything else than (a part of) this very corpus.
    """
    if workers < 1:
        raise InputError(f"workers={workers}: at least one process must render; use workers=1")
    _claim(config, folder)
    planned = takes(config)
    _remove_damaged(folder, log)
    missing = [take for take in planned if not (folder / take.path).exists()]
    done = len(planned) - len(missing)
    log(f"{GENERATOR}: {len(planned)} clips, {done} already there, {workers} process(es)")
    report = progress or (lambda _done, _total: None)
    report(done, len(planned))
    for count in _rendered(_batches(config, folder, missing), workers):
        done += count
        report(done, len(planned))
    _describe(config, folder, planned)
    write_manifest(folder, [IDENTITY, *DESCRIBED, *(take.path for take in planned)])
    log(f"{GENERATOR}: complete in {folder}")


def _identity(config: DemoConfig) -> str:
    return (
        json.dumps({"generator": GENERATOR, "config": config.model_dump()}, indent=2, sort_keys=True) + "\n"
    )


def _claim(config: DemoConfig, folder: Path) -> None:
    """Makes sure that the folder is empty or belongs to this corpus, and removes half-written files."""
    path = folder / IDENTITY
    if path.exists():
        if path.read_text(encoding="utf-8") != _identity(config):
            raise InputError(
                f"{folder} holds a demo corpus with other settings (see {path}); "
                f"expected {GENERATOR} with {config!r}: choose another folder or delete this one"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"{folder} is not empty and was not rendered by {GENERATOR}: choose an empty or a new folder"
        )
    write_text(path, _identity(config))
    for leftover in folder.rglob(".*.tmp.*"):
        leftover.unlink(missing_ok=True)


def _remove_damaged(folder: Path, log: Callable[[str], None]) -> None:
    """Of a corpus that was complete, whatever is not as it was written."""
    if (folder / MANIFEST).is_file():
        for fault in faults_of(folder):
            log(f"{fault}: it is rendered anew")
            fault.path.unlink(missing_ok=True)


def _batches(config: DemoConfig, folder: Path, missing: list[Take]) -> list[Batch]:
    batches: list[Batch] = []
    for actor_index in range(len(actor_names(config))):
        own = tuple(take for take in missing if take.actor_index == actor_index)
        starts = range(0, len(own), CLIPS_PER_BATCH)
        batches += [(config, folder, own[start : start + CLIPS_PER_BATCH]) for start in starts]
    return batches


def _rendered(batches: list[Batch], workers: int) -> Iterator[int]:
    """The number of clips of every batch, when it is done."""
    if workers == 1:
        yield from map(_render_batch, batches)
        return
    # Spawned, not forked: OpenCV and FFmpeg hold threads and locks.
    # A Pool's workers end when the parent is killed, because the pipe they read from closes.
    with multiprocessing.get_context("spawn").Pool(
        workers, initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        yield from pool.imap_unordered(_render_batch, batches)


def _render_batch(batch: Batch) -> int:
    config, folder, own = batch
    actor = cast(config, own[0].actor_index)
    painter = Painter(actor, config.frame_px)
    for take in own:
        performance = perform(config, take, actor)
        picture_rng = random(config, PICTURE_STREAM, take.actor_index, take.number)
        pictures = painter.pictures(move(performance, actor, picture_rng), picture_rng)
        sound = synthesise(performance, actor, random(config, SOUND_STREAM, take.actor_index, take.number))
        _write_clip(folder / take.path, pictures, sound, config.frame_px)
    return len(own)


def performances(config: DemoConfig, planned: list[Take]) -> list[Performance]:
    """What is performed in every take, without rendering it."""
    actors = [cast(config, index) for index in range(len(actor_names(config)))]
    return [perform(config, take, actors[take.actor_index]) for take in planned]


def ceilings(config: DemoConfig) -> dict[str, object]:
    """The content of `ceiling.json`: the oracle's accuracies by partition and by what it sees."""
    planned = takes(config)
    performed = performances(config, planned)
    actors = [cast(config, index) for index in range(len(actor_names(config)))]
    found: dict[str, object] = {"generator": GENERATOR, "seed": config.seed}
    for split in ("train", "test"):
        chosen = [number for number, take in enumerate(planned) if take.split == split]
        if chosen:
            found[split] = ceiling(
                [planned[number].mixture for number in chosen],
                [performed[number] for number in chosen],
                [actors[planned[number].actor_index] for number in chosen],
            )
    return found


def _describe(config: DemoConfig, folder: Path, planned: list[Take]) -> None:
    """Everything beside the clips; the training labels last, because a reader starts from them."""
    write_text(folder / "DATACARD.md", card(config, planned, performances(config, planned)))
    write_text(folder / "ceiling.json", json.dumps(ceilings(config), indent=2) + "\n")
    test = [take for take in planned if take.split == "test"]
    write_text(folder / "test_actors.csv", actor_table(test))
    write_text(folder / "apart" / "test_metadata.csv", table(test))
    write_text(folder / "train_metadata.csv", table(take for take in planned if take.split == "train"))


def _write_clip(path: Path, pictures: Iterable[Picture], sound: Array, size_px: int) -> None:
    """Writes `path` as a whole or not at all."""
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=VIDEO_RATE_HZ, options=VIDEO_OPTIONS)
        video.width = video.height = size_px
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=AUDIO_RATE_HZ, layout="mono", options=AUDIO_OPTIONS)
        audio.bit_rate = AUDIO_BITS_PER_SECOND
        for number, picture in enumerate(pictures):
            container.mux(video.encode(_video_frame(picture, number)))
        container.mux(video.encode(None))
        for start in range(0, len(sound), AUDIO_BLOCK):
            container.mux(audio.encode(_audio_frame(sound[start : start + AUDIO_BLOCK], start)))
        container.mux(audio.encode(None))


def _video_frame(picture: Picture, number: int) -> av.VideoFrame:
    planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).astype(np.uint8, copy=False)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts = number
    frame.time_base = Fraction(1, VIDEO_RATE_HZ)
    return frame


def _audio_frame(samples: Array, start: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate = AUDIO_RATE_HZ
    frame.pts = start
    frame.time_base = Fraction(1, AUDIO_RATE_HZ)
    return frame


def card(config: DemoConfig, takes: Sequence[Take], performances: Sequence[Performance]) -> str:
    """Markdown; the first line says that the corpus is synthetic."""
    train = [take for take in takes if take.split == "train"]
    test = [take for take in takes if take.split == "test"]
    seconds = [performance.num_frames / VIDEO_RATE_HZ for performance in performances]
    unvoiced = sum(not performance.is_voiced for performance in performances) / len(performances)
    settings = "\n".join(f"- {name}: {value}" for name, value in config.model_dump().items())
    return f"""\
**This corpus is synthetic: drawn faces and computed voices. Its numbers say nothing about people.**

# Demo corpus `{GENERATOR}`, seed {config.seed}

A measuring device in the shape of BLEMORE: it has the same labels, columns, partitions and difficulties
(identity dominates, very quiet sound, many unvoiced clips), and it is known what can be read from it.

## Contents

- `train/`: {len(train)} clips of {config.num_train_actors} actors in {config.num_folds} actor-disjoint folds,
  labels in `train_metadata.csv`
- `test/`: {len(test)} clips of {config.num_test_actors} other actor(s), labels in `apart/test_metadata.csv`
- {sum(take.mixture.is_blend for take in takes)} of {len(takes)} clips are blends; {unvoiced:.0%} are unvoiced
- {min(seconds):.2f} to {max(seconds):.2f} s per clip, {sum(seconds) / len(seconds):.2f} s on average,
  {sum(seconds) / 60:.1f} minutes in all
- H.264, {config.frame_px} x {config.frame_px}, {VIDEO_RATE_HZ} pictures per second;
  AAC, mono, {AUDIO_RATE_HZ} Hz

## How labels show

Every emotion has a pattern of facial movement, a kind of voice and a lag between the two; shares weigh all
three. Anger and disgust differ by the lag only, fear and sadness in the voice only, happiness and sadness
in the face only. `blended.data.demo.signatures` has the table, `ceiling.json` what an oracle reads from
the clean parameters of these clips: no model that decides clip by clip can be expected to score higher.

## Limits

Trained on it, nothing learns about human emotion, faces or voices. Use it to test and to compare methods
whose behaviour under known conditions is the question, and call every number derived from it synthetic.

## Settings

{settings}
"""

"""Rendering the corpus into a folder: clip by clip, in any order, by any number of processes."""

import json
import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from blended.data.atomic import write_text
from blended.data.checksums import MANIFEST, faults_of, write_manifest
from blended.data.demo.actors import cast
from blended.data.demo.card import card
from blended.data.demo.config import GENERATOR, DemoConfig
from blended.data.demo.metadata import actor_table, table
from blended.data.demo.motion import move
from blended.data.demo.mp4 import write
from blended.data.demo.oracle import ceiling
from blended.data.demo.paint import Painter
from blended.data.demo.performance import Performance, perform
from blended.data.demo.script import PICTURE_STREAM, SOUND_STREAM, Take, actor_names, random, takes
from blended.data.demo.voice import synthesise
from blended.data.errors import InputError

IDENTITY = ".config.json"
"""Says which corpus a folder holds, from before the first clip is written."""

LABELS = ("test_actors.csv", "apart/test_metadata.csv", "train_metadata.csv")
DESCRIBED = ("DATACARD.md", "ceiling.json", *LABELS)
"""What is written beside the clips."""

CLIPS_PER_BATCH = 9
"""Clips of one actor that a process renders at a time; they share what does not change."""

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
        write(folder / take.path, pictures, sound, config.frame_px)
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

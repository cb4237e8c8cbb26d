"""Clips for HiCMAE: those of a corpus, prepared once, and new files.

Prepared clips are cached as arrays that are mapped into memory: `data/cache/media/<identity>/`.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from blended.data import Clip, InputError
from blended.data.atomic import replacing_folder
from blended.data.checksums import faults_of, write_manifest
from blended.data.code_versions import code_version
from blended.data.index import Index
from blended.encoders.encoder import AudioStream
from blended.encoders.one_file import Built, Decoded, Wanted
from blended.encoders.pictures import picture_stream
from blended.encoders.sound import RATE_HZ
from blended.fusion.hicmae.clips import ClipPreparation, PreparedClip, prepared_clip, windows_of
from blended.fusion.inputs import MODALITY_OF, PICTURES, SOUND, Inputs, Media
from blended.fusion.reading import labelled
from blended.fusion.run import Log
from blended.fusion.strategy import Gathering, InputKind, Reader

Progress = Callable[[int, int], None]

ARRAYS = ("pictures", "sound", "has_pictures", "has_sound")


def gather_media(
    index: Index,
    clips: Sequence[Clip],
    preparation: ClipPreparation,
    cache: Path,
    *,
    log: Log,
    progress: Progress | None = None,
    workers: int = 1,
) -> Media:
    """The clips, in their order. Effects: prepares all clips of the index unless that was done before.

    Raises InputError for a clip that cannot be read, naming it.
    """
    folder = cache / "media" / identity(index, preparation)
    with FileLock(folder.with_suffix(".lock")):
        if folder.is_dir() and (faults := faults_of(folder)):
            log(f"{faults[0]}: all clips are prepared anew")
            shutil.rmtree(folder)
        if not folder.is_dir():
            log(f"preparing {len(index.corpus.clips)} clips in {folder}")
            with replacing_folder(folder) as made:
                _prepare(index.corpus.clips, preparation, made, progress, workers)
                write_manifest(made, [f"{name}.npy" for name in ARRAYS])
    place = {clip.id: row for row, clip in enumerate(index.corpus.clips)}
    rows = np.array([place[clip.id] for clip in clips])
    pictures, sound, has_pictures, has_sound = (
        np.load(folder / f"{name}.npy", mmap_mode="r" if name in ("pictures", "sound") else None)
        for name in ARRAYS
    )
    return Media(pictures, sound, has_pictures, has_sound, rows)


def identity(index: Index, preparation: ClipPreparation) -> str:
    """Of the arrays: what was prepared, how, and by which code."""
    ids = [clip.id for clip in index.corpus.clips]
    parts = [code_version([prepared_clip]), preparation.model_dump(mode="json"), index.corpus_hash, ids]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _prepare(
    clips: Sequence[Clip],
    preparation: ClipPreparation,
    folder: Path,
    progress: Progress | None,
    workers: int,
) -> None:
    """Fills the arrays on disk clip by clip, so that no more than a few are in memory."""
    count, side = len(clips), preparation.pixels
    windows, frames = preparation.windows, preparation.num_frames
    pictures = np.lib.format.open_memmap(
        folder / "pictures.npy", "w+", np.uint8, (count, windows, frames, side, side, 3)
    )
    shape = (count, windows, preparation.spectrogram_frames, preparation.mel_bins)
    sound = np.lib.format.open_memmap(folder / "sound.npy", "w+", np.float16, shape)
    has_pictures, has_sound = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    with _prepared(clips, preparation, workers) as prepared:
        for row, clip in enumerate(prepared):
            pictures[row], sound[row] = clip.pictures, clip.sound
            has_pictures[row], has_sound[row] = clip.has_pictures, clip.has_sound
            if progress is not None:
                progress(row + 1, count)
    pictures.flush()
    sound.flush()
    np.save(folder / "has_pictures.npy", has_pictures)
    np.save(folder / "has_sound.npy", has_sound)


@contextmanager
def _prepared(
    clips: Sequence[Clip], preparation: ClipPreparation, workers: int
) -> Generator[Iterator[PreparedClip]]:
    one = partial(_one, preparation=preparation)
    if workers == 1:
        yield map(one, clips)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield pool.map(one, clips, chunksize=4)


def _one(clip: Clip, preparation: ClipPreparation) -> PreparedClip:
    try:
        return prepared_clip(clip.path, preparation)
    except InputError as error:
        raise InputError(f"clip {clip.id!r} cannot be prepared: {error}") from error


def gather_clips(config: Any, given: Gathering) -> Inputs:
    """The clips themselves, prepared as the config says. Effects: see `gather_media`."""
    clips = (*given.corpus.train, *given.corpus.test)
    media = gather_media(given.index, clips, config.preparation, given.cache, log=given.log)
    return Inputs(**labelled(given), media=media)


def clips_reader(config: Any, encoders: Built, device: str) -> Reader:
    """`pictures` [1, window, frame, height, width, 3] and `sound` [1, window, time, bin] of a new file, as
    far as there; no encoder has a part in it.
    """
    preparation: ClipPreparation = config.preparation
    pictures = picture_stream(preparation.frame_rate_hz, preparation.pixels, preparation.faces)
    wanted = {PICTURES: Wanted("video", pictures), SOUND: Wanted("audio", AudioStream(RATE_HZ))}

    def read(decoded: Decoded) -> dict[str, Tensor]:
        found = decoded.inputs
        clip = windows_of(found.get(PICTURES), found.get(SOUND), preparation)
        arrays = {PICTURES: clip.pictures, SOUND: clip.sound}
        return {name: torch.from_numpy(arrays[name])[None] for name in found}

    return Reader(wanted, read)


def media_of_tracks(given: Mapping[str, Tensor], preparation: ClipPreparation) -> Media:
    """Clips that all have the same tracks, as the network reads them."""
    count, w = len(next(iter(given.values()))), preparation.windows
    side = preparation.pixels
    pictures = np.zeros((count, w, preparation.num_frames, side, side, 3), np.uint8)
    sound = np.zeros((count, w, preparation.spectrogram_frames, preparation.mel_bins), np.float16)
    return Media(
        given[PICTURES].cpu().numpy() if PICTURES in given else pictures,
        given[SOUND].cpu().numpy() if SOUND in given else sound,
        np.full(count, PICTURES in given),
        np.full(count, SOUND in given),
        np.arange(count),
    )


MEDIA = InputKind("media", gather_clips, clips_reader, MODALITY_OF)

"""Decoding against PyAV, OpenCV and, where it can be loaded, torchcodec: the same frames of one file.

One thread each; every library is written as its users write it, and gives [frame, height, width, 3] in RGB.
Rounds take turns, and the best of each side counts. `read_frames` probes the file first, checks that it is
whole, chooses frames by their time, turns them upright and converts colours exactly; the others do not.

    python benchmarks/decoding.py [--clips 2000]

The file has ten seconds in 1280 x 720, H.264. Before that, the memory of this process is watched while so
many small clips are read one after the other.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from blended.data.media import read_audio, read_frames
from blended.data.media.torchcodec_frames import why_not
from blended.data.media.writing import write_video
from blended.data.testing import write_clip

ROUNDS = 3
FPS = 25
Pictures = NDArray[np.uint8]
Reader = Callable[[Path, int, tuple[int, int] | None], Pictures]
"""From a file of 25 frames a second, every how many one is kept, and the (height, width) to scale to."""


def ours(path: Path, every: int, size: tuple[int, int] | None) -> Pictures:
    """`read_frames`."""
    return read_frames(path, FPS / every, size=size).values


def with_pyav(path: Path, every: int, size: tuple[int, int] | None) -> Pictures:
    """Decode all, convert what is kept."""
    height, width = size or (None, None)
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        kept = (frame for k, frame in enumerate(container.decode(video=0)) if k % every == 0)
        return np.stack([f.to_ndarray(format="rgb24", width=width, height=height) for f in kept])


def with_opencv(path: Path, every: int, size: tuple[int, int] | None) -> Pictures:
    """`grab` all, `retrieve` what is kept."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    pictures: list[Pictures] = []
    number = 0
    while capture.grab():
        if number % every == 0:
            picture = cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
            scaled = picture if size is None else cv2.resize(picture, size[::-1])
            pictures.append(scaled.astype(np.uint8, copy=False))
        number += 1
    return np.stack(pictures)


def with_torchcodec(path: Path, every: int, size: tuple[int, int] | None) -> Pictures:
    """A slice of the decoder, resized while it decodes."""
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    transforms = [] if size is None else [Resize(size)]
    decoder = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1, transforms=transforms)
    return decoder.get_frames_in_range(0, len(decoder), every).data.numpy()


def best_seconds(
    readers: dict[str, Reader], path: Path, every: int, size: tuple[int, int] | None
) -> dict[str, float]:
    """Best CPU time of each reader: other work on the machine does not count."""
    times: dict[str, list[float]] = {name: [] for name in readers}
    shape = readers["ours"](path, every, size).shape
    for _ in range(ROUNDS):
        for name, reader in readers.items():
            started = time.process_time()
            values = reader(path, every, size)
            times[name].append(time.process_time() - started)
            assert values.shape == shape, (name, values.shape, shape)
    return {name: min(seconds) for name, seconds in times.items()}


def compare(path: Path) -> None:
    """Prints a line per way of reading the file."""
    readers: dict[str, Reader] = {"ours": ours, "PyAV": with_pyav, "OpenCV": with_opencv}
    if reason := why_not():
        print(reason)
    else:
        readers["torchcodec"] = with_torchcodec
    for every, size in ((1, None), (5, None), (1, (224, 224)), (5, (224, 224))):
        seconds = best_seconds(readers, path, every, size)
        fastest = min(value for name, value in seconds.items() if name != "ours")
        listed = ", ".join(f"{name} {value * 1000:.0f} ms" for name, value in seconds.items())
        what = f"every {every}, {'own size' if size is None else f'{size[0]} x {size[1]}'}"
        print(f"{what}: {listed}; best of the others / ours {fastest / seconds['ours']:.2f}", flush=True)


def moving_pictures(path: Path) -> Path:
    """Ten seconds of 1280 x 720: a blurred texture that drifts."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 240, 3)).astype(np.uint8)
    wide = cv2.resize(noise, (1920, 720), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    write_video(path, ((k / FPS, wide[:, 2 * k : 2 * k + 1280]) for k in range(10 * FPS)), (720, 1280))
    return path


def watch_memory(folder: Path, count: int) -> None:
    """Prints the peak after a tenth and after all of the clips."""
    paths = [
        write_clip(folder / f"{n}.mp4", seconds=1.0, size=(240, 320), tone_hz=300 + n) for n in range(20)
    ]
    peaks: list[float] = []
    for number in range(count):
        read_frames(paths[number % 20], 25)
        read_audio(paths[number % 20], 16000)
        if number in (count // 10 - 1, count - 1):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"peak memory: {peaks[0]:.0f} MiB after {count // 10} clips, {peaks[1]:.0f} MiB after {count}")


def main() -> None:
    """Memory, then speed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=2000, help="0 leaves the memory out")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        if given.clips:  # First, because a peak does not go down again.
            watch_memory(Path(name), given.clips)
        compare(moving_pictures(Path(name) / "drift.mp4"))


if __name__ == "__main__":
    main()

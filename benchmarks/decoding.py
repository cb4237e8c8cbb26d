"""Decoding against PyAV, OpenCV and, where it can be loaded, torchcodec: the same frames of one file.

One thread each; every library is written as its users write it, and gives [frame, height, width, 3] in RGB.
Rounds take turns, and the best CPU time of each side counts. `read_frames` probes the file first, checks that
it is whole, chooses frames by their time and turns them upright; the others do not.

    python benchmarks/decoding.py [--clips 2000]

The file has ten seconds in 1280 x 720, H.264. Before that, the memory of this process is watched while so
many small clips are read one after the other, and a losslessly coded chart of 16,650 colours says how far
each library is from their definition (ITU-R BT.601 and BT.709), in levels of 255.

torchcodec is no dependency. After `pip install --no-deps torchcodec` it is compared too: where the system has
no FFmpeg, it is lent the libraries that came with PyAV.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from blended.data.media import read_audio, read_frames
from blended.data.media.colours import MATRICES, chart
from blended.data.media.writing import write_video

# Clips as the tests write them.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from toys.clips import write_clip

ROUNDS = 5
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


def why_not() -> str:
    """Why torchcodec cannot be used here; empty if it can."""
    try:
        library = import_module("torchcodec")
    except (ImportError, OSError, RuntimeError) as error:
        return f"torchcodec cannot be loaded: {str(error).strip().splitlines()[0]}"
    # Newer ones can be imported without FFmpeg, for still pictures.
    if getattr(library, "ffmpeg_major_version", 0) is None:
        return "torchcodec cannot be loaded: it finds no FFmpeg of a version that it knows"
    return ""


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


def all_readers() -> dict[str, Reader]:
    """Name -> reader, of the libraries that are here."""
    readers: dict[str, Reader] = {"ours": ours, "PyAV": with_pyav, "OpenCV": with_opencv}
    if reason := why_not():
        print(reason)
    else:
        readers["torchcodec"] = with_torchcodec
    return readers


def compare(readers: dict[str, Reader], path: Path) -> None:
    """Prints a line per way of reading the file."""
    for every, size in ((1, None), (5, None), (1, (224, 224)), (5, (224, 224))):
        seconds = best_seconds(readers, path, every, size)
        fastest = min(value for name, value in seconds.items() if name != "ours")
        listed = ", ".join(f"{name} {value * 1000:.0f} ms" for name, value in seconds.items())
        what = f"every {every}, {'own size' if size is None else f'{size[0]} x {size[1]}'}"
        print(f"{what}: {listed}; best of the others / ours {fastest / seconds['ours']:.2f}", flush=True)


def compare_colours(readers: dict[str, Reader], folder: Path) -> None:
    """Prints how far each library is from the definition, at most and on average, per matrix."""
    for number, matrix in ((5, "BT.601"), (1, "BT.709")):
        path, colours = colour_chart(folder / f"{number}.mp4", number)
        errors = {name: abs(reader(path, 1, None)[0] - colours) for name, reader in readers.items()}
        listed = ", ".join(f"{name} {far.max():.1f} ({far.mean():.2f})" for name, far in errors.items())
        print(f"{matrix}, levels off at most (on average): {listed}", flush=True)


def colour_chart(path: Path, matrix: int) -> tuple[Path, NDArray[np.float64]]:
    """A file of one frame whose samples are exactly those of `chart`, and its colours."""
    assert matrix in MATRICES
    frame, colours = chart(matrix)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"qp": "0"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path, colours


def lend_ffmpeg(folder: Path) -> None:
    """Starts this program anew with PyAV's libraries under the names by which torchcodec looks for them."""
    if find_spec("torchcodec") is None or not why_not() or "BLENDED_LENT" in os.environ:
        return
    bundled = Path(av.__file__).parent.parent / "av.libs"
    for library in bundled.glob("lib[as][vw]*.so.*"):
        name, _, number = library.name.partition(".so.")
        (folder / f"{name.partition('-')[0]}.so.{number.partition('.')[0]}").symlink_to(library)
    searched = f"{folder}:{bundled}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    environment = os.environ | {"LD_LIBRARY_PATH": searched, "BLENDED_LENT": "1"}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


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
    lend_ffmpeg(Path(tempfile.mkdtemp()))
    with tempfile.TemporaryDirectory() as name:
        if given.clips:  # First, because a peak does not go down again.
            watch_memory(Path(name), given.clips)
        readers = all_readers()
        compare_colours(readers, Path(name))
        compare(readers, moving_pictures(Path(name) / "drift.mp4"))


if __name__ == "__main__":
    main()

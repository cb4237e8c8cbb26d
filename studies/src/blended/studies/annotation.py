"""Answers drawn: one picture, or the recording itself with the answer below it."""

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from blended.data import InputError
from blended.data.media import probe, read_audio
from blended.data.media.frames import stream_frames
from blended.data.media.writing import write_video
from blended.eval.figures.clips import Course, answer_figure, panel
from blended.studies.answers import Answer, Prediction, name_of

WIDTH_PX = 640
"""Of an annotated video: enough to see a face, little to send around."""
SOUND_HZ = 48000
NOTE = "what the expression resembles to a model; says nothing about what a person feels"


def picture_of(prediction: Prediction, emotions: Sequence[str]) -> Figure:
    """A frame half way, the answer and, for a long recording, its course."""
    whole = prediction.whole
    course = None
    if len(prediction.timeline) > 1:
        centres = [(answer.start_seconds + answer.end_seconds) / 2 for answer in prediction.timeline]
        course = Course(np.array(centres), np.stack([answer.calibrated for answer in prediction.timeline]))
    return answer_figure(
        f"{prediction.path.name}: {name_of(whole.decided) or 'intensities'}",
        emotions,
        whole.calibrated,
        whole.decided,
        picture=_frame_half_way(prediction),
        course=course,
        note=NOTE,
    )


def _frame_half_way(prediction: Prediction) -> UInt8[np.ndarray, "height width 3"] | None:
    size = _size(prediction.path)
    if size is None:
        return None
    half = (prediction.whole.start_seconds + prediction.whole.end_seconds) / 2
    shown = None
    for seconds, picture in stream_frames(prediction.path, size):
        shown = picture
        if seconds >= half:
            break
    return shown


def annotate_video(prediction: Prediction, emotions: Sequence[str], out: Path) -> None:
    """Writes the recording with its sound, and below every frame the answer for that time.

    Raises InputError for a recording without pictures.
    """
    size = _size(prediction.path)
    if size is None:
        raise InputError(f"{prediction.path} has no picture to annotate: leave out --video-out")
    answers = prediction.timeline or (prediction.whole,)
    strips = [_strip(answer, emotions, size[1]) for answer in answers]
    full = (size[0] + len(strips[0]), size[1])
    sound = read_audio(prediction.path, SOUND_HZ) if probe(prediction.path).audio is not None else None
    write_video(out, _annotated(prediction.path, size, answers, strips), full, sound)


def _strip(answer: Answer, emotions: Sequence[str], width_px: int) -> UInt8[np.ndarray, "height width 3"]:
    words = f"{answer.start_seconds:.1f} to {answer.end_seconds:.1f} s: {name_of(answer.decided)}"
    return panel(width_px, words, emotions, answer.calibrated, answer.decided)


def _annotated(
    path: Path,
    size: tuple[int, int],
    answers: Sequence[Answer],
    strips: Sequence[UInt8[np.ndarray, "height width 3"]],
) -> Generator[tuple[float, UInt8[np.ndarray, "height width 3"]]]:
    """Frames above the strip of the answer whose middle is nearest in time."""
    middles = np.array([(answer.start_seconds + answer.end_seconds) / 2 for answer in answers])
    for seconds, picture in stream_frames(path, size):
        nearest = int(np.abs(middles - seconds).argmin())
        yield seconds, np.concatenate([picture, strips[nearest]])


def _size(path: Path) -> tuple[int, int] | None:
    """(height, width) in even pixels, `WIDTH_PX` wide; None for a recording without pictures."""
    video = probe(path).video
    return None if video is None else (round(video.height * WIDTH_PX / video.width / 2) * 2, WIDTH_PX)

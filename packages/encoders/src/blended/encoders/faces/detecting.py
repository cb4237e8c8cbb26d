"""Upright frontal faces: found in one picture, and one of them followed through a clip.

A boosted cascade of multi-block local binary patterns (Liao et al. 2007, "Learning multi-scale block local
binary patterns for face recognition", ICB), as OpenCV trained it and scikit-image (BSD-3-Clause) ships it.
It needs no download and no GPU. It misses profiles and heads that are turned or tilted by more than about
20 degrees, which tracking bridges: detections are linked over time, and the box is smoothed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

WINDOW_PX = 24
"""Side of the window that the cascade was trained on, the smallest face that it can see."""

SHARP_PX = 30
"""Side that the smallest wanted face gets in the picture that is searched: some room above the window."""

SCALE_STEP = 1.2
MIN_WINDOWS = 4
"""Windows that must agree before they count as a face; single ones are chance."""

SAME_FACE = 0.4
"""Overlap (intersection over union) from which windows are of the same face."""


class Box(NamedTuple):
    """A square around a face, from the eyebrows to the chin, in pixels of the picture that was searched."""

    x: float | int
    """Left edge."""
    y: float | int
    """Upper edge."""
    side: float | int
    """Positive."""
    num_windows: int = 1
    """Windows that agree on it; more is surer."""


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two squares, in [0, 1].

    >>> overlap(Box(0, 0, 2), Box(1, 0, 2))
    0.3333333333333333
    """
    across = min(one.x + one.side, other.x + other.side) - max(one.x, other.x)
    down = min(one.y + one.side, other.y + other.side) - max(one.y, other.y)
    shared = max(0.0, across) * max(0.0, down)
    return shared / (one.side**2 + other.side**2 - shared)


def search_size(height: int, width: int, smallest: float) -> tuple[int, int]:
    """(height, width) at which a picture is searched for faces from `smallest` of its shorter side."""
    scale = SHARP_PX / (smallest * min(height, width))
    return max(WINDOW_PX + 1, round(height * scale)), max(WINDOW_PX + 1, round(width * scale))


def find_faces(picture: UInt8[np.ndarray, "height width 3"]) -> list[Box]:
    """All faces of an RGB picture that `search_size` has scaled; the surest first.

    The same picture gives the same boxes, however many threads scikit-image was built for.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    shorter = min(grey.shape)
    found = _cascade().detect_multi_scale(
        img=grey,
        scale_factor=SCALE_STEP,
        step_ratio=1,
        min_size=(SHARP_PX, SHARP_PX),
        max_size=(shorter, shorter),
        # Every window by itself: scikit-image groups them in the order in which its threads find them.
        min_neighbor_number=1,
        intersection_score_threshold=2.0,
    )
    windows = sorted(Box(int(w["c"]), int(w["r"]), int(w["width"])) for w in found)
    return [box for box in _grouped(windows) if box.num_windows >= MIN_WINDOWS]


def _grouped(windows: Sequence[Box]) -> list[Box]:
    """The mean of every group of windows that overlap; the largest group first."""
    groups: list[list[Box]] = []
    means: list[Box] = []
    for window in windows:
        scores = [overlap(window, mean) for mean in means]
        best = int(np.argmax(scores)) if scores else -1
        if best >= 0 and scores[best] >= SAME_FACE:
            groups[best].append(window)
            means[best] = _mean(groups[best])
        else:
            groups.append([window])
            means.append(window)
    return sorted(means, key=lambda box: (-box.num_windows, box))


def _mean(group: Sequence[Box]) -> Box:
    x, y, side = np.mean([(box.x, box.y, box.side) for box in group], axis=0)
    return Box(float(x), float(y), float(side), len(group))


@cache
def _cascade() -> Any:
    """The detector, read once per process."""
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


SAME_TRACK = 0.2
"""Overlap from which a detection continues a track. Low, because heads move between two of them."""

MIN_SEEN = 2
"""Detections that make a track, where that many pictures were searched; a single one may be chance."""

MIN_SEEN_SHARE = 0.1
"""Share of the searched pictures in which a face must be seen; fewer are chance, or somebody passing by."""

FLATTENING = 0.2
"""Of the smoothing line, as a share of its Gaussian's deviation."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """The most persistent large face of a clip, when it was seen and where."""

    seconds: Float64[np.ndarray, "seen"]
    """Ascending; empty for a clip without a face."""
    boxes: Float64[np.ndarray, "seen 3"]
    """Centre x, centre y and side, in pixels of the upright picture."""
    num_searched: int
    """Pictures that were searched, at least 1."""

    @property
    def num_without(self) -> int:
        """Searched pictures in which this face was not seen."""
        return self.num_searched - len(self.seconds)

    def at(self, seconds: float | int, smooth_seconds: float | int) -> tuple[float, float, float]:
        """Centre x, centre y and side at a time.

        A straight line through the detections around it, with Gaussian weights of that deviation: an even
        movement is kept up to the ends. In a hole the line flattens to where the face was seen nearest.
        Needs a detection.
        """
        deviation = max(smooth_seconds, 1e-3)
        distance = -0.5 * ((self.seconds - seconds) / deviation) ** 2
        # Relative to the nearest detection, or all weights would vanish in a long hole.
        weights = np.exp(distance - distance.max())
        weights /= weights.sum()
        middle, mean = weights @ self.seconds, weights @ self.boxes
        apart = self.seconds - middle
        # The small addend holds the slope down where the weights lie on one detection.
        spread = weights @ apart**2 + (FLATTENING * deviation) ** 2
        x, y, side = mean + (weights * apart) @ self.boxes / spread * (seconds - middle)
        return float(x), float(y), float(max(side, 0.5 * mean[2]))


def follow(
    seconds: Sequence[float | int], found: Sequence[Sequence[Box]], scale: tuple[float, float] = (1.0, 1.0)
) -> Track:
    """Links the boxes of successive pictures and keeps the track with the largest sum of sides.

    `scale` is what turns the boxes' pixels into those of the upright picture, down and across.
    """
    tracks: list[list[tuple[int, Box]]] = []
    for step, boxes in enumerate(found):
        _extend(tracks, step, boxes)
    least = max(min(MIN_SEEN, len(found)), MIN_SEEN_SHARE * len(found))
    enough = [track for track in tracks if len(track) >= least]
    # The first of equals, so that the choice does not depend on chance.
    best = max(enough, key=lambda track: sum(box.side for _, box in track), default=[])
    down, across = scale
    rows = [
        ((b.x + b.side / 2) * across, (b.y + b.side / 2) * down, b.side * (down + across) / 2)
        for _, b in best
    ]
    times = np.array([seconds[step] for step, _ in best], dtype=np.float64)
    return Track(times, np.array(rows, dtype=np.float64).reshape(-1, 3), len(found))


def _extend(tracks: list[list[tuple[int, Box]]], step: int, boxes: Sequence[Box]) -> None:
    """Every box goes to the track whose last box it overlaps most, or begins one."""
    for box in boxes:
        free = [track for track in tracks if track[-1][0] < step]
        scores = [overlap(box, track[-1][1]) for track in free]
        best = int(np.argmax(scores)) if scores else -1
        if best >= 0 and scores[best] >= SAME_TRACK:
            free[best].append((step, box))
        else:
            tracks.append([(step, box)])

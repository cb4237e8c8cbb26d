"""One face followed through a clip: detections linked over time, the box smoothed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from blended.encoders.faces.detecting import Box, overlap

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

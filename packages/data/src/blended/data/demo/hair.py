"""Hair, beard, neck and shoulders: shapes that follow the head without moving of themselves."""

import numpy as np

from blended.data.demo.actors import Looks
from blended.data.demo.geometry import Shapes
from blended.data.demo.signatures import Array


def still_shapes(looks: Looks, face_TN2: Array) -> Shapes:
    """Name -> [T, N, 2]; shapes that this actor does not have are left out."""
    num_frames = len(face_TN2)
    still = {"neck": _neck(looks), "shoulders": _shoulders()}
    if (back := _back(looks)) is not None:
        still["hair back"] = back
    if (front := _front(looks)) is not None:
        still["hair front"] = front
    found = {name: np.repeat(points[None], num_frames, axis=0) for name, points in still.items()}
    if looks.beard == "full":
        found["beard"] = _beard(looks, face_TN2)
    return found


def _neck(looks: Looks) -> Array:
    half = 0.62 * looks.half_width
    return np.array(
        [
            [-half, 0.4],
            [half, 0.4],
            [half * 1.05, 1.15],
            [half * 1.5, 1.45],
            [-half * 1.5, 1.45],
            [-half * 1.05, 1.15],
        ]
    )


def _shoulders() -> Array:
    along = np.linspace(-1, 1, 21)
    top = 1.20 + 0.42 * np.abs(along) ** 2.6 + 0.16 * np.exp(-((along / 0.24) ** 2))
    curve = np.stack([1.75 * along, top], axis=-1)
    return np.concatenate([curve, [[2.4, 1.95], [2.6, 3.4], [-2.6, 3.4], [-2.4, 1.95]]])


def _arc(centre_y: float, radius_x: float, radius_y: float, start: float, stop: float, count: int) -> Array:
    angle = np.linspace(start, stop, count)
    return np.stack([radius_x * np.cos(angle), centre_y + radius_y * np.sin(angle)], axis=-1)


def _back(looks: Looks) -> Array | None:
    width = looks.half_width
    if looks.haircut == "long":
        top = _arc(-0.12, width + 0.20, 1.05, np.pi, 2 * np.pi, 24)
        return np.concatenate(
            [top, [[width + 0.27, 0.6], [width + 0.2, 1.25], [-width - 0.2, 1.25], [-width - 0.27, 0.6]]]
        )
    if looks.haircut == "curly":
        angle = np.linspace(np.pi * 0.86, np.pi * 2.14, 120)
        radius = 1 + 0.035 * np.abs(np.sin(7.5 * angle))
        return np.stack(
            [(width + 0.26) * radius * np.cos(angle), -0.22 + 1.02 * radius * np.sin(angle)], axis=-1
        )
    if looks.haircut == "bun":
        return _arc(-1.16, 0.27, 0.25, 0.0, 2 * np.pi, 28)
    return None


def _front(looks: Looks) -> Array | None:
    if looks.haircut == "bald":
        return None
    width = looks.half_width
    volume = {"short": 0.07, "long": 0.08, "curly": 0.1, "bun": 0.03}[looks.haircut]
    low = {"short": -0.30, "long": -0.18, "curly": -0.30, "bun": -0.34}[looks.haircut]
    start = np.arcsin(low / (0.98 + volume))
    top = _arc(-0.03, width * 0.99 + volume, 0.98 + volume, np.pi - start, 2 * np.pi + start, 28)
    along = np.linspace(1, -1, 21)
    height = {"short": 0.34, "long": 0.40, "curly": 0.28, "bun": 0.46}[looks.haircut]
    # The parting lies to the side that the light comes from: any fixed trait of the actor would do.
    parting = 0.35 * np.sign(looks.light_side) if looks.haircut == "long" else 0.0
    line = low - height * (1 - np.abs((along - parting) / (1 + abs(parting))) ** 2.6)
    if looks.haircut == "curly":
        line = line + 0.03 * np.abs(np.sin(11 * along))
    hairline = np.stack([(width * 0.97) * along, line - 0.02], axis=-1)
    return np.concatenate([top, hairline])


def _beard(looks: Looks, face_TN2: Array) -> Array:
    """From ear to ear along the jaw; it follows the chin."""
    lower = face_TN2[:, (np.linspace(0, 2 * np.pi, 48, endpoint=False) <= np.pi)]
    outer = lower * np.array([1.015, 1.02])
    along = np.linspace(-1, 1, lower.shape[1])
    top = 0.30 + 0.08 * (1 - np.abs(along) ** 3) + 0.02 * np.cos(3 * np.pi * along)
    inner = np.stack([0.92 * looks.half_width * along, top], axis=-1)
    inner = np.repeat(inner[None], len(face_TN2), axis=0)
    return np.concatenate([outer, inner], axis=1)

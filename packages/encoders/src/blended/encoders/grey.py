"""Pictures without colour."""

import cv2
import numpy as np
from jaxtyping import UInt8


def grey(values: UInt8[np.ndarray, "time height width 3"]) -> UInt8[np.ndarray, "time height width"]:
    """Luma of RGB pictures (ITU-R BT.601), all in one call: stacked on top of each other they are one."""
    num_frames, height, width, _ = values.shape
    stacked = np.ascontiguousarray(values).reshape(num_frames * height, width, 3)
    return cv2.cvtColor(stacked, cv2.COLOR_RGB2GRAY).reshape(num_frames, height, width)

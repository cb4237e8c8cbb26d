"""Decoded clips as a source of batches, for networks that learn from pictures and sound themselves.

A models, B clips per batch, N clips, W window, F frame, S spectrogram frame, M mel bin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float16, Int, UInt8
from torch import Tensor

from blended.data.errors import InputError
from blended.fusion.clip_media import PreparedClip
from blended.fusion.network import Batch
from blended.fusion.sources import Change, present_after

PICTURES, SOUND = "pictures", "sound"
MODALITY_OF = {PICTURES: "video", SOUND: "audio"}
"""What a batch holds -> its modality, in the order of `present`."""


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """Prepared clips, which may lie in files that are mapped into memory."""

    pictures: UInt8[np.ndarray, "stored W F height width 3"]
    sound: Float16[np.ndarray, "stored W S M"]
    has_pictures: Bool[np.ndarray, "stored"]
    has_sound: Bool[np.ndarray, "stored"]
    rows: Int[np.ndarray, "N"]
    """Where each clip is stored."""

    @property
    def num_clips(self) -> int:
        """N."""
        return len(self.rows)

    @property
    def tracks(self) -> tuple[str, ...]:
        """`pictures` and `sound`, where any clip has them."""
        there = {PICTURES: self.has_pictures, SOUND: self.has_sound}
        return tuple(name for name, has in there.items() if has[self.rows].any())

    @property
    def whole(self) -> Int[np.ndarray, "_"]:
        """Clips with pictures and sound."""
        return np.flatnonzero((self.has_pictures & self.has_sound)[self.rows])


def media_of(clips: Sequence[PreparedClip]) -> Media:
    """Clips in memory."""
    if not clips:
        raise InputError("no clips were prepared, expected at least one")
    return Media(
        np.stack([clip.pictures for clip in clips]),
        np.stack([clip.sound for clip in clips]),
        np.array([clip.has_pictures for clip in clips]),
        np.array([clip.has_sound for clip in clips]),
        np.arange(len(clips)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class MediaSource:
    """Batches of decoded clips; nothing is fitted on a training part, so all models share them."""

    media: Media
    device: torch.device
    change: Change = field(default_factory=Change)

    def batch(self, models: Int[Tensor, "A"], rows_AB: Int[Tensor, "A B"]) -> Batch:
        """`pictures` uint8 [A, B, W, F, height, width, 3], `sound` [A, B, W, S, M], `present` [A, B, 2]."""
        rows = rows_AB.cpu().numpy()
        pictures, has_pictures = self._stored(PICTURES, rows, self.media.has_pictures)
        sound, has_sound = self._stored(SOUND, rows, self.media.has_sound)
        present = torch.from_numpy(np.stack([has_pictures, has_sound], axis=-1))
        present = present_after(self.change, [*MODALITY_OF.values()], present)
        return {
            PICTURES: torch.from_numpy(self.media.pictures[pictures]).to(self.device),
            SOUND: torch.from_numpy(self.media.sound[sound]).to(self.device).float(),
            "present": present.to(self.device),
        }

    def _stored(
        self, name: str, rows: Int[np.ndarray, "A B"], has: Bool[np.ndarray, "stored"]
    ) -> tuple[Int[np.ndarray, "A B"], Bool[np.ndarray, "A B"]]:
        """Where the clips' pictures or sounds are stored, and whether they are there."""
        stored = self.media.rows[rows]
        if name in self.change.shuffled and self.change.order is not None:
            others = self.media.rows[self.change.order.cpu().numpy()[rows]]
            # A clip without this track has none to lend.
            stored = np.where(has[others], others, stored)
        return stored, has[stored]

    def lengths(self, rows_AB: Int[Tensor, "A B"]) -> Int[Tensor, "A B"] | None:
        """None: all clips are stretches of one length."""
        return None

    def changed(self, change: Change) -> "MediaSource":
        """The same without some tracks, or with those of other clips."""
        if change.columns is not None:
            raise InputError("pictures and sound have no named columns: leave `columns` out")
        return replace(self, change=change)

    def state(self, models: Sequence[int]) -> dict[str, Tensor]:
        """Nothing: new clips need no more than the config."""
        return {}

"""Media: the only place that opens video and sound files.

`probe` says what a file holds, `read_audio` and `read_frames` read it. Records are in `records.py`.
"""

from blended.data.media.audio import read_audio
from blended.data.media.frames import read_frames
from blended.data.media.probing import probe
from blended.data.media.records import AudioInfo, Frames, MediaError, MediaInfo, VideoInfo, Waveform

__all__ = [
    "AudioInfo",
    "Frames",
    "MediaError",
    "MediaInfo",
    "VideoInfo",
    "Waveform",
    "probe",
    "read_audio",
    "read_frames",
]

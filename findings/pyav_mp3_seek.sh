#!/usr/bin/env bash
# PyAV 18.1.0 (its wheel's FFmpeg 8.1.2): after a seek in an MP3, the sound at the time asked for is silence or something else
#
# 1. A frame of an MP3 may need bits that lie in earlier ones. After `container.seek`, the first one to three frames that come are zeros, the
#    next one or two are wrong, and the rest are, to the bit, those of decoding from the start. All carry proper timestamps; nothing is
#    raised or marked. The time asked for lies in the very first frame: the next 25 to 140 ms are not what was recorded.
# 2. The clock of the file starts at 1,105 samples (the delay of encoder and decoder, cut off at the start): what is at index N of the
#    decoded file carries the timestamp N + 1,105, which is 25 ms at 44.1 kHz and 69 ms at 16 kHz. Seeking to a second and slicing the
#    decoded file at that second give different sound. `stream.start_time` tells, the array does not.
# A FLAC file, made and read by the same code, shows neither.
#
# Why it matters here: windows of long recordings (podcasts, speaker turns, continuous annotations) are cut by seeking. Emotion
# is looked for in short windows and in pauses, onsets and energy: each window gets a pause and a click of its own, and is shifted by up to
# two video frames against what a reader of whole files (soundfile, librosa) gives for the same label.
#
# Until it is mended: seek a few tenths of a second too early and throw away what comes before; count time from `stream.start_time`. Or
# decode once, in order.
#
# Seen on 2026-11-27, Python 3.11, x86-64 Linux:
#     chirp.flac, 44100 Hz
#       decoded from the start: sound is 0 samples late by its place in the array, 0 by its timestamp
#       seek to  2.5 s: 0 frames are not the sound, 0 of them zeros; errors 0.0 0.0 0.0 0.0 0.0
#       seek to 10.0 s: 0 frames are not the sound, 0 of them zeros; errors 0.0 0.0 0.0 0.0 0.0
#       seek to 14.5 s: 0 frames are not the sound, 0 of them zeros; errors 0.0 0.0 0.0 0.0 0.0
#     chirp.mp3, 44100 Hz, 128 kbit/s
#       decoded from the start: sound is 0 samples late by its place in the array, 1105 by its timestamp
#       seek to  2.5 s: 2 frames are not the sound, 1 of them zeros; errors 0.47 0.51 0.0 0.0 0.0
#       seek to 10.0 s: 2 frames are not the sound, 1 of them zeros; errors 0.48 0.57 0.0 0.0 0.0
#       seek to 14.5 s: 2 frames are not the sound, 1 of them zeros; errors 0.48 0.48 0.0 0.0 0.0
#     chirp.mp3, 44100 Hz, 64 kbit/s
#       decoded from the start: sound is 0 samples late by its place in the array, 1105 by its timestamp
#       seek to  2.5 s: 4 frames are not the sound, 3 of them zeros; errors 0.47 0.48 0.48 0.48 0.0
#       seek to 10.0 s: 4 frames are not the sound, 3 of them zeros; errors 0.48 0.48 0.48 0.47 0.0
#       seek to 14.5 s: 4 frames are not the sound, 3 of them zeros; errors 0.48 0.48 0.48 0.48 0.0
#     chirp.mp3, 16000 Hz, 32 kbit/s
#       decoded from the start: sound is 0 samples late by its place in the array, 1105 by its timestamp
#       seek to  2.5 s: 4 frames are not the sound, 2 of them zeros; errors 0.48 0.48 0.48 0.19 0.0
#       seek to 10.0 s: 4 frames are not the sound, 2 of them zeros; errors 0.48 0.48 0.48 0.24 0.0
#       seek to 14.5 s: 4 frames are not the sound, 2 of them zeros; errors 0.47 0.48 0.48 0.13 0.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.4.6

cd "$folder"
venv/bin/python - <<'PYTHON'
import av
import numpy as np

SECONDS = 20


def write(path, rate_hz, bits_per_second):
    """A chirp, no two places of which are alike, in the codec that the file's ending names."""
    times = np.arange(rate_hz * SECONDS) / rate_hz
    chirp = (0.5 * np.sin(2 * np.pi * (200 + 0.0045 * rate_hz * times) * times)).astype(np.float32)
    with av.open(path, "w") as container:
        stream = container.add_stream(path.rpartition(".")[2], rate=rate_hz, layout="mono")
        stream.bit_rate = bits_per_second
        frame = av.AudioFrame.from_ndarray(chirp[None], format="fltp", layout="mono")
        frame.rate, frame.pts = rate_hz, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return chirp


def read(path, rate_hz, seek_seconds=None):
    """Frames as (timestamp in samples, samples of -1 to 1)."""
    with av.open(path) as container:
        stream = container.streams.audio[0]
        if seek_seconds is not None:
            container.seek(round(seek_seconds / stream.time_base), stream=stream)
        to_float = av.AudioResampler(format="fltp")
        return [(round(f.time * rate_hz), to_float.resample(f)[0].to_ndarray()[0]) for f in container.decode(stream)]


def lag_samples(decoded, original, rate_hz):
    """How much later than in the original a second of sound from the middle is."""
    start = 10 * rate_hz - 3000
    window = decoded[start : start + rate_hz + 6000]
    return int(np.correlate(window, original[10 * rate_hz : 11 * rate_hz]).argmax()) - 3000


def examine(path, rate_hz, bits_per_second):
    """How late timestamps are, and how many frames after a seek are not the sound."""
    original = write(path, rate_hz, bits_per_second)
    whole = read(path, rate_hz)
    lag = lag_samples(np.concatenate([samples for _, samples in whole]), original, rate_hz)
    late = whole[0][0] + lag
    print(f"{path}, {rate_hz} Hz" + (f", {bits_per_second // 1000} kbit/s" if bits_per_second else ""))
    print(f"  decoded from the start: sound is {lag} samples late by its place in the array, {late} by its timestamp")
    by_timestamp, damaged = dict(whole), []
    for second in (2.5, 10.0, 14.5):
        frames = read(path, rate_hz, second)[:8]
        start, length = frames[0][0], len(frames[0][1])
        assert start <= second * rate_hz < start + length, "changed: the time asked for lay in the first frame"
        errors = np.array([abs(samples - by_timestamp[at]).max() for at, samples in frames])
        damaged.append(int((errors > 1e-6).sum()))
        silent = sum(not samples.any() for _, samples in frames)
        assert not errors[damaged[-1] :].any()
        print(f"  seek to {second:4} s: {damaged[-1]} frames are not the sound, {silent} of them zeros; errors", *errors.round(2)[:5])
    return late, damaged


assert examine("chirp.flac", 44_100, 0) == (0, [0, 0, 0])
for rate_hz, bits_per_second in ((44_100, 128_000), (44_100, 64_000), (16_000, 32_000)):
    late, damaged = examine("chirp.mp3", rate_hz, bits_per_second)
    assert late == 1105, "changed: timestamps of an MP3 were 1,105 samples late"
    assert min(damaged) >= 2, "changed: at least two frames after a seek were wrong"
PYTHON

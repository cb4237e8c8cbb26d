#!/usr/bin/env bash
# opensmile 2.6.0 (Python): sound at full scale turns over, and the features are those of its clicks
#
# The Python package multiplies a signal by 32768 and casts it to 16 bits. A sample of exactly +1.0 becomes -1.0, 1.001 becomes -0.999.
# Nothing is raised, warned or clipped. A sine of peak 1.0 has eight times the loudness of the same sine of peak 0.999.
#
# Why it matters here: dividing by the largest absolute value is a usual preparation, and puts a sample of exactly 1.0 into every clip whose
# largest is positive. One such sample moves a clip's means little; but decoded MP3, AAC and Opus, resampled and
# synthesised speech go above 1.0 by themselves, and loud, aroused speech does most: there eGeMAPS measures the accident
# where the emotion is looked for, in loudness, spectral balance and MFCCs.
#
# Until it is mended: `np.clip(signal, -1, 32767 / 32768)` before openSMILE, or scale to a peak below 1.
#
# Seen on 2026-11-27, Python 3.11, x86-64 Linux:
#                                             loudness        H1-A3 dB           mfcc1  alpha ratio dB
#     sine, peak 0.999                            0.39         -104.34           54.38          -62.56
#     sine, peak 1.0                              3.22           -0.13            0.64          -15.80
#     sine, peak 1.0, clipped first               0.39         -104.33           54.37          -62.56
#     vowel, peak 0.99                            0.65           68.27           54.73          -44.90
#     vowel, peak 1.0                             0.67           67.36           54.39          -44.64
#     vowel, peak 1.1                             1.29           53.19           44.77          -35.68
#     vowel, peak 1.1, clipped first              0.72           63.32           53.92          -42.87
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check opensmile==2.6.0 numpy==2.4.6 pandas==3.1.1 audinterface==1.4.0 audformat==1.4.3

"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import opensmile

warnings.simplefilter("error")  # there is none: a warning would end the script
RATE_HZ = 16_000
COLUMNS = {
    "loudness": "loudness_sma3_amean",
    "H1-A3 dB": "logRelF0-H1-A3_sma3nz_amean",
    "mfcc1": "mfcc1_sma3_amean",
    "alpha ratio dB": "alphaRatioV_sma3nz_amean",
}
egemaps = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)


def features(signal):
    row = egemaps.process_signal(signal.astype(np.float32), RATE_HZ).iloc[0]
    return np.array([row[column] for column in COLUMNS.values()])


def swelling_vowel():
    """Seven harmonics of 110 Hz through two seconds, growing and fading, as a clip is: its peak is reached once."""
    voice = sum(np.cos(2 * np.pi * 110 * h * times) / h for h in range(1, 8))
    return voice * np.hanning(len(times))


times = np.arange(2 * RATE_HZ) / RATE_HZ
sine = np.sin(2 * np.pi * 100 * times)
vowel = swelling_vowel()
vowel /= abs(vowel).max()
signals = {
    "sine, peak 0.999": 0.999 * sine,
    "sine, peak 1.0": sine,
    "sine, peak 1.0, clipped first": np.clip(sine, -1, 32767 / 32768),
    "vowel, peak 0.99": 0.99 * vowel,
    "vowel, peak 1.0": vowel,
    "vowel, peak 1.1": 1.1 * vowel,
    "vowel, peak 1.1, clipped first": np.clip(1.1 * vowel, -1, 32767 / 32768),
}
found = {name: features(signal) for name, signal in signals.items()}
print(f"{'':32}" + "".join(f"{name:>16}" for name in COLUMNS))
for name, row in found.items():
    print(f"{name:32}" + "".join(f"{value:16.2f}" for value in row))

quiet, full, clipped = (found[f"sine, peak {name}"] for name in ("0.999", "1.0", "1.0, clipped first"))
assert abs(clipped[0] / quiet[0] - 1) < 0.01
assert full[0] > 5 * quiet[0], "changed: the sine at full scale was eight times as loud"
over, over_clipped = found["vowel, peak 1.1"], found["vowel, peak 1.1, clipped first"]
assert over[0] > 1.1 * over_clipped[0], "changed: what goes above full scale turned over"
PYTHON

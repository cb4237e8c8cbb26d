#!/usr/bin/env bash
# safetensors 0.8.0 (with NumPy 2.4.6): what is stored is not what was given, and equal content is not equal bytes
#
# 1. `safetensors.numpy` writes a transposed or Fortran-ordered array in the order of its memory, under the shape of its view. The file is
#    valid, loads without a word, and holds other numbers in the same shape. 0.7.0 wrote it right (`tobytes`); 0.8.0 passes a pointer.
#    The torch half of the library refuses such tensors; the NumPy half does not look. (Reported to the library as issue 825.)
# 2. The metadata of a file are written in an order that is drawn anew for each save: the same tensors with the same metadata give
#    files with different checksums. (Issue 584.)
#
# Why it matters here: features are turned all the time, (mel, time) to (time, mel), and loaders, PCA and MATLAB files give Fortran order.
# Afterwards frames are mixtures of bands and times; the mean over everything, the shape and the type are right, a model trains on it, badly.
# And whoever names checkpoints or features by their SHA-256 (DVC, caches, "is this the published model?") gets a change where there is none.
#
# Until it is mended: `np.ascontiguousarray` on every array; compare tensors, not files, or write one metadata key at most.
#
# Seen on 2026-11-27, Python 3.11, x86-64 Linux (the number of distinct checksums varies, 2 to 10):
#     given, (time, mel) = mel_time.T:  [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
#     loaded:                           [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
#     np.ascontiguousarray first:       [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
#     10 processes, one checkpoint: 10 SHA-256 with five metadata keys, 1 without metadata
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6

cat > "$folder/order.py" <<'PYTHON'
import numpy as np
from safetensors.numpy import load_file, save_file


def through_a_file(array):
    save_file({"features": array}, "features.safetensors")
    return load_file("features.safetensors")["features"]


mel_time = np.arange(6, dtype=np.float32).reshape(2, 3)
given = mel_time.T
loaded, copied = through_a_file(given), through_a_file(np.ascontiguousarray(given))
print("given, (time, mel) = mel_time.T: ", given.tolist())
print("loaded:                          ", loaded.tolist())
print("np.ascontiguousarray first:      ", copied.tolist())
assert np.array_equal(copied, given)
assert loaded.shape == given.shape and not np.array_equal(loaded, given), "changed: a transposed array survives"
PYTHON

cat > "$folder/checksum.py" <<'PYTHON'
import hashlib
import sys

import numpy as np
from safetensors.numpy import save

metadata = {"model": "fusion", "fold": "0", "seed": "1", "epoch": "12", "classes": "7"}
checkpoint = save({"weight": np.ones((4, 7), np.float32)}, metadata=metadata if sys.argv[1] == "metadata" else None)
print(hashlib.sha256(checkpoint).hexdigest())
PYTHON

cd "$folder"
venv/bin/python order.py
distinct() { for _ in {1..10}; do venv/bin/python checksum.py "$1"; done | sort -u | wc -l; }
with=$(distinct metadata)
without=$(distinct none)
echo "10 processes, one checkpoint: $with SHA-256 with five metadata keys, $without without metadata"
if ((without != 1 || with == 1)); then
    echo "changed: checksums were equal without metadata only" >&2
    exit 1
fi

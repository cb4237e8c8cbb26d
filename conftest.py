"""Set before anything imports torch or NumPy: tests run one process per core, one thread each."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

"""Computing on one thread, so that a result does not depend on how many cores a machine has.

Sums that are split over threads are rounded otherwise, and a shard must have the same bytes wherever and
beside however many workers it is computed.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Generator[None]:
    """Limits the BLAS and OpenMP libraries that are loaded, torch's own included; restored afterwards.

    Libraries that are imported within the block are not limited: build encoders before.
    """
    torch = sys.modules.get("torch")  # Looked up, not imported: video encoders need none.
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)

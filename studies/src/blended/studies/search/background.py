"""Uploading beside the trials: a thread that trials never wait for."""

import threading
from collections.abc import Callable
from types import TracebackType

from blended.studies.search.uploading import Uploader

EVERY_SECONDS = 5.0
LAST_SECONDS = 60.0
"""How long the end of a worker may take; what has not arrived by then waits on disk."""


class BackgroundUpload:
    """Uploads every few seconds while a worker runs, and once more at its end."""

    def __init__(
        self,
        uploader: Uploader,
        log: Callable[[str], None],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """`before` is called before every attempt, such as to spool what others have finished."""
        self.uploader = uploader
        self.before = before
        self.log = log
        self.problem = ""
        """Why the last attempt failed; empty if it did not."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlflow-upload", daemon=True)

    def __enter__(self) -> "BackgroundUpload":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(LAST_SECONDS)
        if waiting := self.uploader.spool.num_waiting():
            reason = f" ({self.problem})" if self.problem else ""
            self.log(
                f"{waiting} results are on disk and not yet in MLflow{reason}: "
                f"`blended study sync {self.uploader.plan.name}` uploads them"
            )

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self._attempt()
        self._attempt(LAST_SECONDS)

    def _attempt(self, wait_seconds: float = 0.0) -> None:
        try:
            self.before()
            self.uploader.upload(wait_seconds)
            self.problem = ""
        except Exception as error:  # noqa: BLE001 - whatever the server does, trials go on; it is tried again
            first = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            if not self.problem:
                self.log(f"MLflow does not answer ({first}); results are kept on disk meanwhile")
            self.problem = first

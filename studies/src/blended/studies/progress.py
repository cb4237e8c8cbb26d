"""What a command says while it works, on standard error: lines, findings, bars with rate and time left."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text
from tqdm.std import tqdm

if TYPE_CHECKING:
    from blended.data.clip import Finding

# On standard error, so that what a command prints as its result can be piped.
STDERR = Console(stderr=True, force_jupyter=False)


class Rate(ProgressColumn):
    """Clips per second."""

    def render(self, task: Task) -> Text:
        """The current rate, or the mean once finished."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} clips/s" if speed else "", style="cyan")


class Busy(ProgressColumn):
    """How busy the device is, where its driver says."""

    max_refresh = 1.0

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def render(self, task: Task) -> Text:
        """In percent; nothing for a CPU."""
        if not self.device.startswith("cuda"):
            return Text("")
        from blended.encoders.device import utilisation_percent

        percent = utilisation_percent(self.device)
        return Text("" if percent is None else f"GPU {percent} %", style="cyan")


@contextmanager
def clips_progress(title: str, device: str = "cpu") -> Generator[Callable[[int, int], None]]:
    """A bar that is moved by calling what is yielded with (clips done, clips in all)."""
    if "ipykernel" in sys.modules:
        with _notebook_bar(title) as move_text:
            yield move_text
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        Busy(device),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STDERR) as progress:
        # Nothing to do, nothing to see.
        task = progress.add_task(title, total=None, visible=False)

        def move(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        yield move


@contextmanager
def _notebook_bar(title: str) -> Generator[Callable[[int, int], None]]:
    """As text, which every notebook can show: rich asks for widgets there."""
    with tqdm(desc=title, unit=" clips", leave=False) as bar:

        def move(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        yield move


@contextmanager
def bytes_progress(title: str) -> Generator[Callable[[int, int | None], None]]:
    """A bar that is moved by calling what is yielded with (bytes here, bytes in all)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STDERR) as progress:
        task = progress.add_task(title, total=None)

        def move(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield move


@contextmanager
def working(title: str) -> Generator[Callable[[str], None]]:
    """A moving sign that work goes on, with the last sentence that was said about it."""
    if "ipykernel" in sys.modules:
        with tqdm(bar_format="{desc} [{elapsed}]", leave=False) as sign:
            yield lambda sentence: sign.set_description_str(f"{title}: {sentence}")
        return
    with STDERR.status(title) as status:
        yield lambda sentence: status.update(f"{title}: {sentence}")


def say(message: str) -> None:
    """A line of log."""
    STDERR.print(message, style="dim", highlight=False)


STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
MOST_PRINTED = 40


def show_findings(findings: "Sequence[Finding]") -> None:
    """A line for each of the first forty things that are odd about a corpus."""
    for finding in findings[:MOST_PRINTED]:
        where = f"{finding.clip_id}: " if finding.clip_id else ""
        STDERR.print(f"{finding.level}: {where}{finding.message}", style=STYLES[finding.level], markup=False)
    if len(findings) > MOST_PRINTED:
        STDERR.print(f"... and {len(findings) - MOST_PRINTED} more", style="dim")

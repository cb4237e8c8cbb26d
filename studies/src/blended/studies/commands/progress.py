"""Progress on the terminal, with rate and time left."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# On standard error, so that what a command prints as its result can be piped.
STDERR = Console(stderr=True)


class Rate(ProgressColumn):
    """Clips per second."""

    def render(self, task: Task) -> Text:
        """The current rate, or the mean once finished."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} clips/s" if speed else "", style="cyan")


@contextmanager
def clips_progress(title: str) -> Generator[Callable[[int, int], None]]:
    """A bar that is moved by calling what is yielded with (clips done, clips in all)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STDERR) as progress:
        task = progress.add_task(title, total=None)

        def move(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield move


def say(message: str) -> None:
    """A line of log."""
    STDERR.print(message, style="dim", highlight=False)

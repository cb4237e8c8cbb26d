"""The composition root: trials, recipes, tracking, the `blended` command, and the door for notebooks.

    from blended.studies import Project, Recipe, evaluate

Nothing is imported before it is asked for: `blended` itself is a namespace that five installable packages
share and cannot hold names, and only this one knows all of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blended.eval import evaluate as evaluate
    from blended.studies.params import Recipe as Recipe
    from blended.studies.project import Project as Project
    from blended.studies.search.study_file import Study as Study

DOOR = {
    "Project": "blended.studies.project",
    "Recipe": "blended.studies.params",
    "Study": "blended.studies.search.study_file",
    "evaluate": "blended.eval",
}
"""Name -> the module that it is taken from."""

__all__ = list(DOOR)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in DOOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(DOOR)}")
    return getattr(import_module(DOOR[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *DOOR])

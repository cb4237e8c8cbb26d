"""Where in a YAML file a setting stands, for errors that an editor can jump to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from blended.data.errors import InputError


class Lines:
    """A YAML file and the line of everything in it."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a missing file, with the line for one that is not YAML."""
        if not path.is_file():
            raise InputError(f"{path} does not exist: name a study file such as studies/demo.yaml")
        self.path = path
        try:
            self.values: object = YAML(typ="safe").load(path)
            self._marked: Any = YAML(typ="rt").load(path)
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{path}:{mark.line + 1}" if mark is not None else f"{path}"
            problem = getattr(error, "problem", None) or error
            raise InputError(f"{where}: not valid YAML: {problem}") from error

    def line(self, keys: Sequence[int | str]) -> int:
        """The line, from 1, of the innermost of nested keys that is in the file."""
        inside: Any = self._marked
        line = 1
        for key in keys:
            try:
                position = inside.lc.item(key) if isinstance(key, int) else inside.lc.key(key)
                line, inside = position[0] + 1, inside[key]
            except (AttributeError, KeyError, IndexError, TypeError):
                continue
        return line

    def error(self, keys: Sequence[int | str], problem: str) -> str:
        """`studies/demo.yaml:7: budget.trials: PROBLEM`."""
        return f"{self.path}:{self.line(keys)}: {'.'.join(map(str, keys))}: {problem}"

"""Reading a study file, YAML or Python: every mistake with its line and the nearest right name."""

import ast
import difflib
import runpy
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML, YAMLError

from blended.data.errors import InputError, unknown_name
from blended.studies.params import Params, Recipe
from blended.studies.search import space
from blended.studies.search.plan import Plan
from blended.studies.search.study_file import RECIPE, Study

Keys = Sequence[int | str]
"""Of nested settings, from the outermost."""


@dataclass(frozen=True)
class Lines:
    """A study file: what it says, and in which line."""

    path: Path
    values: object
    line: Callable[[Keys], int]
    """The line, from 1, of the innermost of nested keys that is in the file."""
    source: str = ""
    """Of a study in Python."""

    def error(self, keys: Keys, problem: str) -> str:
        """`studies/demo.yaml:7: budget.trials: PROBLEM`."""
        return f"{self.path}:{self.line(keys)}: {'.'.join(map(str, keys))}: {problem}"


def read_lines(path: Path) -> Lines:
    """Raises InputError for a missing file, with the line for one that is not YAML, or fails as Python."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: name a study file such as studies/demo.yaml")
    return _run_python(path) if path.suffix == ".py" else _load_yaml(path)


def _load_yaml(path: Path) -> Lines:
    try:
        values: object = YAML(typ="safe").load(path)
        return Lines(path, values, partial(_yaml_line, YAML(typ="rt").load(path)))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else f"{path}"
        problem = getattr(error, "problem", None) or error
        raise InputError(f"{where}: not valid YAML: {problem}") from error


def _yaml_line(marked: Any, keys: Keys) -> int:
    inside, line = marked, 1
    for key in keys:
        try:
            position = inside.lc.item(key) if isinstance(key, int) else inside.lc.key(key)
            line, inside = position[0] + 1, inside[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            continue
    return line


def _run_python(path: Path) -> Lines:
    """Runs a file and takes its `study`, a `Study` or a dictionary of what one has."""
    source = path.read_text(encoding="utf-8")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: not valid Python: {error.msg}") from error
    lines = Lines(path, None, partial(_python_line, tree), source)
    try:
        made: Any = runpy.run_path(str(path)).get("study")
    except ValidationError as error:
        raise InputError("\n".join(_file_problems(lines, error))) from error
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = frames[-1].lineno if frames else 1
        raise InputError(f"{path}:{line}: {type(error).__name__}: {error}") from error
    if not isinstance(made, Study | dict):
        raise InputError(f"{path}:1: expected study = Study(...), or a dictionary called study, got {made!r}")
    if isinstance(made, Study):
        made = made.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return replace(lines, values=made)


def _python_line(tree: ast.Module, keys: Keys) -> int:
    """Of the first argument, or text, that is called as the innermost key; of `study` where none is."""
    named: dict[object, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg:
            named.setdefault(node.arg, node.value.lineno)
        elif isinstance(node, ast.Constant):
            named.setdefault(node.value, node.lineno)
        elif isinstance(node, ast.Name):
            named.setdefault(node.id, node.lineno)
    return next((named[key] for key in reversed([*keys]) if key in named), named.get("study", 1))


UNION_PROBLEMS = {"union_tag_invalid", "union_tag_not_found"}


def read_study(path: Path, params: Params) -> Plan:
    """Reads and checks a study file; the study is called as the file.

    Raises InputError with one line per mistake: unknown settings, values out of range, conditions that can
    never hold, and choices that do not make a valid recipe.
    """
    lines = read_lines(path)
    if not isinstance(lines.values, dict):
        raise InputError(f"{path}:1: expected settings such as space: and budget:, got {lines.values!r}")
    try:
        study = Study.model_validate(lines.values)
    except ValidationError as error:
        raise InputError("\n".join(_file_problems(lines, error))) from error
    _check_corpus(lines, study, params)
    plan = Plan(
        name=path.stem,
        study=study,
        params=params.model_copy(update={"corpus": study.corpus or params.corpus}),
        source=lines.source,
    )
    _check_base(lines, plan)
    _check_space(lines, plan)
    _check_seeds(lines, plan)
    if problems := list(dict.fromkeys(_recipe_problems(lines, plan))):
        raise InputError("\n".join(problems))
    return plan


def _check_corpus(lines: Lines, study: Study, params: Params) -> None:
    corpus = study.corpus
    if corpus is None or corpus == params.corpus or corpus == "demo" or params.corpora.source(corpus):
        return
    known = ["demo", *(params.corpora.model_extra or {})]
    raise InputError(
        lines.error(["corpus"], f"{unknown_name('corpus', corpus, known)} Give it a source in params.yaml.")
    )


def _check_base(lines: Lines, plan: Plan) -> None:
    base = plan.study.base
    if isinstance(base, str) and base not in plan.params.recipes:
        raise InputError(lines.error(["base"], str(unknown_name("recipe", base, plan.params.recipes))))


def _check_space(lines: Lines, plan: Plan) -> None:
    """Conditions, and that a grid can be listed."""
    study = plan.study
    try:
        space.check_conditions(study.dimensions)
        if study.is_exhaustive:
            space.all_points(study.dimensions)
    except InputError as error:
        path = str(error).split(" is a range")[0].split(": its condition")[0]
        raise InputError(f"{lines.path}:{lines.line(_keys(study, path))}: {error}") from error


def _check_seeds(lines: Lines, plan: Plan) -> None:
    """A trial with a seed that it had before is the same stored training again."""
    again = plan.study.reevaluate
    if again is None or not (both := sorted(set(again.seeds) & set(plan.seeds))):
        return
    whose = "seeds has" if plan.study.seeds else "the base recipe has"
    message = (
        f"reevaluate.seeds must be fresh, but {whose} {', '.join(map(str, both))} too: the same trainings "
        f"would be counted again. Give others, such as {max(*again.seeds, *plan.seeds) + 1}"
    )
    raise InputError(lines.error(["reevaluate", "seeds"], message))


def _keys(study: Study, path: str) -> list[int | str]:
    """Where in the file a setting's values stand."""
    if path == RECIPE:
        return ["recipes"]
    return ["grid" if path in study.grid else "space", path]


def _recipe_problems(lines: Lines, plan: Plan) -> Iterator[str]:
    """What stops choices from making a recipe, for the first setting with wrong values."""
    wrong: str | None = None
    for path, value, chosen in space.probes(plan.study.dimensions):
        if wrong not in (None, path):
            return  # Later choices contain the wrong one.
        keys = _keys(plan.study, path)
        if path == RECIPE:
            keys = ["recipes", str(value)]
        shown = f"{space.label(value)!r}: "
        try:
            plan.config(chosen, plan.seeds[0])
        except ValidationError as error:
            problems = [*_sentences(error, Recipe)]
        except InputError as error:
            problems = [str(error)]
        else:
            problems = [*_unknown_features(plan, chosen)]
        for problem in problems:
            wrong = path
            yield lines.error(keys, shown + problem)


def _unknown_features(plan: Plan, chosen: space.Choices) -> Iterator[str]:
    known = {*plan.params.encoders, *plan.params.imported}
    fusion = Recipe.model_validate(plan.recipe(chosen, 0)).fusion
    for feature in fusion.features:
        if feature not in known:
            yield f"{unknown_name('features', feature, known)} Add it to params.yaml."


def _file_problems(lines: Lines, error: ValidationError) -> Iterable[str]:
    for problem in error.errors():
        keys = [part for part in problem["loc"] if not str(part).startswith("function-")]
        where = lines.error(keys, "") if keys else f"{lines.path}: "
        yield where + _sentence(problem, Study)


def _sentences(error: ValidationError, model: type[BaseModel]) -> Iterable[str]:
    for problem in error.errors():
        yield f"{'.'.join(map(str, problem['loc']))}: {_sentence(problem, model)}"


def _sentence(problem: Any, model: type[BaseModel]) -> str:
    """What is wrong and what is near."""
    kind, given = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return f"unknown setting{_near(str(problem['loc'][-1]), _settings(model))}"
    if kind in ("literal_error", "union_tag_invalid") and (known := _expected(problem)):
        wrong = problem["ctx"].get("tag", given)
        return f"unknown value {wrong!r}{_near(str(wrong), known)} Known: {', '.join(known)}."
    message = str(problem["msg"]).removeprefix("Value error, ")
    return message if isinstance(given, dict) else f"{message}, got {given!r}"


def _expected(problem: Any) -> list[str]:
    text = str(problem["ctx"].get("expected") or problem["ctx"].get("expected_tags", ""))
    return [part.strip(" '\"") for part in text.replace(" or ", ", ").split(",")]


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    if near == [name]:
        return " of that choice: say when it exists, with if: {setting: value}"
    return f": did you mean {near[0]!r}?" if near else ": remove it or correct its spelling."


def _settings(model: type[BaseModel]) -> set[str]:
    """Names of all settings of a model and of the models inside it."""
    found: set[str] = set()
    waiting: list[Any] = [model]
    while waiting:
        annotation = waiting.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, field in annotation.model_fields.items():
                found.add(field.alias or name)
                waiting.append(field.annotation)
                waiting.extend(field.metadata)
        waiting.extend(get_args(annotation))
    return found

"""The card of a corpus that is one table: ten lines of YAML that say which column holds what."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from blended.data.errors import InputError
from blended.data.labels import LabelSpace, Mixture, Task
from blended.data.text_table import read_utf8

CARD_NAME = "card.yaml"
SHIPPED = Path(__file__).parent / "cards"

Part = Literal["train", "validation", "test"]


class PathColumn(BaseModel):
    """The column that names the recording, below the folder of recordings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    strip: str = ""
    """Characters to take off both ends: `[]` turns `[12345]` into `12345`."""
    suffix: str = ""
    """What the table leaves out, such as `.mp4`."""


class SplitColumn(BaseModel):
    """The column that names the published partition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    values: dict[str, Part]
    """What stands there -> what it is; validation clips are fold 0."""


class Card(BaseModel):
    """What a table's columns mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    """Of the corpus, its index and its features."""
    title: str = ""
    table: str
    """CSV or Parquet file in the corpus folder."""
    media: str = "."
    """Folder of the recordings in the corpus folder; names without a folder are looked for below it."""
    path: PathColumn
    actor: str | None
    """Column that says who is seen; null where nobody says."""
    split: SplitColumn | None = None
    fold: str | None = None
    """Column of published folds, from 0; without it they are made."""
    num_folds: int = Field(default=5, ge=2)
    """Of folds that are made."""
    task: Task
    label: list[str]
    """Columns: one emotion; two emotions (the second may be empty); or the intensities."""
    shares: list[str] = []
    """Of two emotions: the columns of their shares in percent, in the same order; empty for one emotion."""
    emotions: dict[str, str]
    """What stands in the table (for intensities: the column) -> emotion, in the order of the corpus."""
    highest: float | int = Field(default=1.0, gt=0)
    """The highest intensity of the table's scale; values are divided by it."""
    licence: str = "unknown"
    citation: str = "unknown"
    url: str = ""

    @model_validator(mode="after")
    def _check(self) -> "Card":
        if self.task == "intensities" and {*self.label} != {*self.emotions}:
            raise ValueError("`label` and the keys of `emotions` must be the same columns of intensities")
        if self.task == "mixture" and (len(self.label), len(self.shares)) != (2, 2):
            raise ValueError("a mixture needs two columns in `label` and two in `shares`")
        if self.task == "single" and (len(self.label), len(self.shares)) != (1, 0):
            raise ValueError("a single label needs one column in `label` and none in `shares`")
        return self

    @property
    def space(self) -> LabelSpace:
        """Emotions in the order of the card; a single-label space has a state for each."""
        emotions = tuple(dict.fromkeys(self.emotions.values()))
        single = tuple(Mixture.single(emotion) for emotion in emotions) if self.task == "single" else ()
        return LabelSpace(emotions, self.task, single)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the table must have."""
        optional = (self.actor, self.split and self.split.column, self.fold)
        return (self.path.column, *self.label, *self.shares, *(name for name in optional if name))


def read_card(path: Path) -> Card:
    """The card in a file; raises InputError naming what is misspelt, missing or contradictory."""
    try:
        raw: object = yaml.safe_load(read_utf8(path))
        return Card.model_validate(raw)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'card'}: {p['msg']}" for p in error.errors()]
        raise InputError(f"{path} is no card of a table: {'; '.join(problems)}") from error


def card_of(folder: Path, shipped: str = "") -> Card:
    """The card in a corpus folder, or the one that ships under a name; the folder's own comes first."""
    own = folder / CARD_NAME
    if own.is_file():
        return read_card(own)
    if not shipped:
        raise InputError(
            f"{own} does not exist: describe the table in a {CARD_NAME} beside it (name, table, path, actor, "
            f"task, label, emotions); {SHIPPED} has examples"
        )
    return read_card(SHIPPED / f"{shipped}.yaml")

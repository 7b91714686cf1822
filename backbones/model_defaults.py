"""What suits a model, where nothing is said: `defaults.json` beside its weights, for every command.

    {"sampler": {"steps": 12, "guidance": 1.5},
     "generate": {"num_prompts": 384, "candidates": 5},
     "train": {"settings": {"learning_rate": 0.003}, "objectives": {"sipo": {"beta_dpo": 30}}}}

Embedded models have one, and any folder of a model may. What a user says goes over it, and so does
what a folder that is gone on with was begun with. It is data: only settings that say how well a
model is sampled or trained are taken from it, no place, no judge and no part from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, Field, ValidationError

from sipo.backbones.loading.names import EMBEDDED
from sipo.common.files.text import read_json
from sipo.common.settings import StrictModel
from sipo.weights import WEIGHTS

FILE = "defaults.json"
SAMPLER_FILE = "sampler.json"
"""Of folders that say no more than that section."""

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
Values = dict[str, object]


class TrainSection(StrictModel):
    """Under every objective, and of one objective more."""

    settings: Values = Field(default_factory=dict)
    objectives: dict[str, Values] = Field(default_factory=dict)


class ModelDefaults(StrictModel):
    sampler: Values = Field(default_factory=dict)
    generate: Values = Field(default_factory=dict)
    train: TrainSection = Field(default_factory=TrainSection)


@dataclass(frozen=True)
class Layer:
    """Settings that go under what was said, and the file that says them."""

    values: Mapping[str, object] = field(default_factory=dict)
    file: Path | None = None

    def under(self, said: Collection[str]) -> Layer:
        """Without what was said."""
        return Layer({k: v for k, v in self.values.items() if k not in said}, self.file)

    def over(self, other: Layer) -> Layer:
        """Both as one, of the same file."""
        return Layer({**self.values, **other.values}, self.file)

    @property
    def told(self) -> str:
        """Which values are from which file; "" of none."""
        values = ", ".join(f"{name} {value}" for name, value in self.values.items())
        return f"From {self.file}: {values}" if values else ""


@dataclass(frozen=True)
class Completed(Generic[T]):
    """What was said with what goes under it, and a line on that; "" where nothing does."""

    settings: T
    told: str


def defaults_of(backbone: str) -> tuple[ModelDefaults, Path]:
    """What the model's file says, and where that is; nothing where there is none.

    Raises ValueError that names the file, the place in it and the remedy.
    """
    folder = WEIGHTS / backbone if backbone in EMBEDDED else Path(backbone)
    file, older = folder / FILE, folder / SAMPLER_FILE
    if backbone and file.is_file():
        return _checked(ModelDefaults, _read(file), file), file
    if backbone and older.is_file():
        return ModelDefaults(sampler=_read(older)), older
    return ModelDefaults(), file


def section_layer(
    file: Path, values: Mapping[str, object], may_say: Callable[[str], bool], model: type[BaseModel]
) -> Layer:
    """A section of the file, of which every value is one of `model` that a model may decide.

    Raises ValueError as `defaults_of`.
    """
    for name in values:
        if not may_say(name):
            raise ValueError(f"{file}: {name!r} is no setting that a model decides; take it out")
    _checked(model, values, file)
    return Layer(values, file if values else None)


def sampler_of(backbone: str, model: type[Model]) -> Model | None:
    """How the checkpoint wants to be sampled, where its file says it. Raises as `defaults_of`."""
    found, file = defaults_of(backbone)
    return _checked(model, found.sampler, file) if found.sampler else None


def sampler_layer(backbone: str) -> Layer:
    """The same, to be told."""
    found, file = defaults_of(backbone)
    return Layer(found.sampler, file)


def _read(file: Path) -> Values:
    try:
        return read_json(file)
    except ValueError as error:
        raise ValueError(f"{error}; correct it, or take it away") from None


def _checked(model: type[Model], values: Mapping[str, object], file: Path) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = "there is no such setting"
        elif first["loc"]:
            what += f" (got {str(first['input'])[:80]!r})"
        place = ".".join(map(str, first["loc"])) + ": " * bool(first["loc"])
        raise ValueError(f"{file}: {place}{what}; correct it, or take it out") from None

"""What all settings have in common: one declaration that validation and every `--help` read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from sipo.common.files.urls import is_url, place_of
from sipo.common.plugins import Group

ARGUMENTS = "Arguments"
"""The group of what a command takes without an option's name, in this order."""


@dataclass(frozen=True)
class Shown:
    """How a command line shows a setting."""

    group: str  # of its help
    metavar: str
    also: tuple[str, ...]  # other names that work and no help shows
    choices: tuple[str, ...]  # that can be completed; a Literal's are its own
    parts: Group | None  # what installed packages add to them
    without: str  # what happens without it, where the default does not say so
    several: bool  # it may be given again: `--judge a --judge b` is "a,b"
    url: bool  # of a path: it may be by URL


def setting(
    group: str,
    text: str,
    default: object,
    *,
    metavar: str = "",
    also: str = "",
    choices: Iterable[str] = (),
    parts: Group | None = None,
    without: str = "",
    several: bool = False,
    url: bool = False,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """pydantic's Field, and what a command line shows. `...` is no default: it must be given."""
    field = Field(default, description=text, ge=ge, gt=gt, le=le, lt=lt)
    assert isinstance(field, FieldInfo)
    shown = Shown(group, metavar, tuple(also.split()), tuple(choices), parts, without, several, url)
    field.metadata.append(shown)
    return field


def shown(field: FieldInfo) -> Shown:
    return next(each for each in field.metadata if isinstance(each, Shown))


PLACES = ("PATH", "FILE", "FOLDER", "MODEL", "SHARDS", "RUN", "SOURCE")
"""What a setting is shown as whose value names a file or folder."""


def _is_path(field: FieldInfo) -> bool:
    return Path in (field.annotation, *get_args(field.annotation))


def _names_places(field: FieldInfo) -> bool:
    """As text, which becomes a path later."""
    return any(isinstance(each, Shown) and each.metavar in PLACES for each in field.metadata)


def _takes_url(field: FieldInfo) -> bool:
    return any(isinstance(each, Shown) and each.url for each in field.metadata)


class StrictModel(BaseModel):
    """Frozen; a name it does not know is an error, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_empty_path(cls, value: object, info: ValidationInfo) -> object:
        """Path("") would be the folder that one is in."""
        field = cls.model_fields[info.field_name or ""]
        if value == "" and _is_path(field):
            raise ValueError("is empty; give a value, or leave it out")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _url_or_none(cls, value: object, info: ValidationInfo) -> object:
        """Path("s3://bucket") would be a folder "s3:" in the one that one is in."""
        values = list(value) if isinstance(value, list | tuple) else [value]
        field = cls.model_fields[info.field_name or ""]
        if not any(map(is_url, values)) or not (_is_path(field) or _names_places(field)):
            return value
        if not _takes_url(field):
            raise ValueError("a URL cannot be given here; give a path of this machine")
        places = [place_of(each) if isinstance(each, str | Path) else each for each in values]
        if not _is_path(field):
            return value
        return places if isinstance(value, list | tuple) else places[0]


def other_names(model: type[BaseModel]) -> dict[str, str]:
    """Names that people know from elsewhere -> the setting that means the same."""
    fields = model.model_fields.items()
    return {other: name for name, field in fields for other in shown(field).also}


SEED = partial(setting, "Sampling", "Seed of all random numbers.", ge=0, lt=2**63)
"""What torch's generators take."""
DEVICE = partial(
    setting,
    "Machine",
    "Device that models run on; auto is cuda where there is one.",
    choices=("auto", "cpu", "cuda"),
)


def _number_of_devices(text: str) -> str:
    if text != "auto" and not (text.isdecimal() and int(text)):
        raise ValueError("is no number of devices; give 1 or more, or auto")
    return text


Devices = Annotated[str, AfterValidator(_number_of_devices)]
DEVICES = partial(
    setting,
    "Machine",
    "Cards that share the work, a process each (on a CPU: processes that share its cores); auto is "
    "all cards.",
    metavar="N",
    also="num_processes num_gpus",
)
OUT = partial(setting, "Output", "Folder to write.", also="output_dir output outdir save_dir")

"""JSON as data of strangers: a number may be a list, a list may be nested ten thousand deep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sipo.common.files.strict_json import load_json

Count = Annotated[int, Field(ge=0, lt=2**63)]
AtLeastOne = Annotated[int, Field(ge=1, lt=2**63)]
Share = Annotated[int | float, Field(ge=0, le=1)]
"""An integer stays one: what is written again is what was read."""


class Lenient(BaseModel):
    """Types are taken at their word ("3" is no number); what is not named here may be there too."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="allow", allow_inf_nan=False, populate_by_name=True
    )

    def as_read(self) -> dict[str, object]:
        """Every name that was read or given and none by default, so that files stay as they are."""
        row = {
            field.alias or name: _plain(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if name in self.model_fields_set
        }
        return row | (self.model_extra or {})


def _plain(value: object) -> object:
    if isinstance(value, Lenient):
        return value.as_read()
    return [_plain(item) for item in value] if isinstance(value, list) else value


Model = TypeVar("Model", bound=Lenient)


def checked(model: type[Model], value: object, path: Path, remedy: str) -> Model:
    """Raises ValueError that names the file, the place in it and what stands there."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:80]
        found = f"{first['msg']} (got {str(first['input'])[:80]!r})"
        raise ValueError(f"{path}: {field}: {found}; {remedy}") from None


def read_object(path: Path) -> dict[str, object] | None:
    """The JSON object in a file; None where there is another thing in it."""
    try:
        value: object = load_json(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

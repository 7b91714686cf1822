"""Results as types: a frozen model whose JSON is what was set, in the order of its fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sipo.common.files.text import read_json


class Record(BaseModel):
    """Of a file that an earlier or later version wrote, names it does not know are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_dict(self) -> dict[str, object]:
        """As `json.loads` would read it back."""
        return self.model_dump(mode="json", exclude_unset=True)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)


R = TypeVar("R", bound=Record)


def read_record(path: Path, kind: type[R], remedy: str) -> R:
    """Raises ValueError that names the file, what is wrong in it, and the remedy."""
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        missing = first["type"] == "missing"
        problem = f"does not say {field!r}" if missing else f"has {field}: {first['msg']}"
        raise ValueError(f"{str(path)!r} {problem}; {remedy}") from None
    except ValueError as error:
        raise ValueError(f"{error}; {remedy}") from None

"""What all settings have in common: unknown names, NaN and infinity are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class StrictModel(BaseModel):
    """Frozen; a name it does not know is an error, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_empty_path(cls, value: Any, info: ValidationInfo) -> Any:
        """Path("") would be the folder that one is in."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if value == "" and Path in (kind, *get_args(kind)):
            raise ValueError("is empty; give a value, or leave it out")
        return value


Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What torch's generators take."""

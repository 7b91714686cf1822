"""One requirement of a prompt."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

MAX_OBJECTS = 1000  # asked of one image, in all: more than any detector tells apart

Color = Literal[
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"
]
"""GenEval's ten colours in the order of its prompt generator."""

Relation = Literal["left of", "right of", "above", "below"]


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("write a number")
    return value


Whole = Annotated[int, BeforeValidator(_number)]
"""No true, which Python takes for 1; 2.0, as tables write it, is 2."""


class Clause(BaseModel):
    """`count` objects of a class, perhaps of a colour or in a relation."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    class_name: Annotated[str, Field(alias="class", min_length=1)]
    count: Annotated[Whole, Field(ge=1, le=MAX_OBJECTS)]
    color: Color | None = None
    position: tuple[Relation, Whole] | None = None
    """(relation, index of the target clause in `include`)."""

    @property
    def name(self) -> str:
        """ "red dog"; the class alone where no colour is asked."""
        return f"{self.color} {self.class_name}" if self.color else self.class_name

    @field_validator("class_name")
    @classmethod
    def _without_spaces_around(cls, name: str) -> str:
        if name != name.strip():
            raise ValueError("begins or ends with a space, which makes another class of it")
        return name

    def to_row(self) -> dict[str, object]:
        """As GenEval writes it: absent fields left out."""
        row: dict[str, object] = {"class": self.class_name, "count": self.count}
        if self.color:
            row["color"] = self.color
        if self.position:
            row["position"] = list(self.position)
        return row

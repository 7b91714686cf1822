"""What a prompt asks for: GenEval's rows, read and written exactly.

Format: djghosh13/geneval, `evaluation_metadata.jsonl`, one JSON object a line. A plain text is a
prompt of tag "text" that includes nothing: scorers read it, detectors have nothing to look for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
"""GenEval's six tasks in the order of its tables."""

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
"""GenEval's ten colours in the order of its prompt generator."""

RELATIONS = ("left of", "right of", "above", "below")

Tag = Literal["single_object", "two_object", "counting", "colors", "position", "color_attr", "text"]
Color = Literal[
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"
]
Relation = Literal["left of", "right of", "above", "below"]

_OPPOSITE: dict[Relation, Relation] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}


class Clause(BaseModel):
    """One requirement: `count` objects of a class, perhaps of a colour or in a relation."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    class_name: Annotated[str, Field(alias="class", min_length=1)]
    count: Annotated[int, Field(ge=1)]
    color: Color | None = None
    position: tuple[Relation, int] | None = None
    """(relation, index of the target clause in `include`)."""


class Prompt(BaseModel):
    """A text and what an image of it must include and must not."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    tag: Tag
    include: tuple[Clause, ...]
    exclude: tuple[Clause, ...] = ()
    text: Annotated[str, Field(alias="prompt", min_length=1)]

    @model_validator(mode="after")
    def _targets_exist(self) -> Prompt:
        if bool(self.include) == (self.tag == "text"):
            wanted = "nothing" if self.include else "at least one clause"
            raise ValueError(f"include of a prompt of tag {self.tag!r} must have {wanted}")
        for number, clause in enumerate(self.include):
            if clause.position and not (
                0 <= clause.position[1] < len(self.include) and clause.position[1] != number
            ):
                raise ValueError(
                    f"include[{number}].position names target {clause.position[1]}, "
                    f"which is not another clause of the {len(self.include)} included"
                )
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names the prompt speaks of, each once, in order."""
        return tuple(dict.fromkeys(c.class_name for c in self.include + self.exclude))

    @property
    def colored(self) -> frozenset[str]:
        """The classes of which some clause asks the colour."""
        return frozenset(c.class_name for c in self.include + self.exclude if c.color)

    def to_row(self) -> dict[str, Any]:
        """The row as GenEval writes it: keys in its order, absent fields left out."""
        row: dict[str, Any] = {"tag": self.tag, "include": [_clause_row(c) for c in self.include]}
        if self.exclude:
            row["exclude"] = [_clause_row(c) for c in self.exclude]
        return row | {"prompt": self.text}

    def to_json(self) -> str:
        return json.dumps(self.to_row())

    def meaning(self) -> tuple[Any, ...]:
        """A key equal for prompts that ask for the same image.

        Sorted (class, count, colour) clauses, with "A left of B" the same as "B right of A"; a
        plain text means itself.
        """
        if self.tag == "text":
            return (self.text,)
        things = [(c.class_name, c.count, c.color or "") for c in self.include]
        relations = []
        for number, clause in enumerate(self.include):
            if clause.position:
                relation, target = clause.position
                subject = number
                if relation in ("right of", "below"):
                    relation, subject, target = _OPPOSITE[relation], target, subject
                relations.append((things[subject], relation, things[target]))
        return (tuple(sorted(things)), tuple(sorted(relations)))


def _clause_row(clause: Clause) -> dict[str, Any]:
    row: dict[str, Any] = {"class": clause.class_name, "count": clause.count}
    if clause.color:
        row["color"] = clause.color
    if clause.position:
        row["position"] = list(clause.position)
    return row


def plain_text(text: str) -> Prompt:
    return Prompt(tag="text", include=(), text=text.strip())


def parse_prompt(line: str, where: str) -> Prompt:
    """One JSONL row; one that has a prompt and says neither tag nor clauses is a plain text.

    Raises ValueError that says `where` and what is wrong with it.
    """
    try:
        row = json.loads(line)
        if isinstance(row, dict) and "prompt" in row and not {"tag", "include"} & row.keys():
            row = {"tag": "text", "include": [], "prompt": row["prompt"]}
        return Prompt.model_validate(row)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON ({error.msg} at column {error.colno})") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "row"
        raise ValueError(
            f"{where}: {field}: {first['msg']} (got {str(first['input'])[:80]!r}); a row looks "
            'like {"tag": "counting", "include": [{"class": "dog", "count": 2}], "prompt": "..."}'
        ) from None


def read_prompts(path: str | Path) -> list[Prompt]:
    """All rows of a GenEval JSONL file, or the lines of a `.txt` as plain texts.

    ValueError names file and line of the first bad one.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"prompt file {str(path)!r} does not exist; give a GenEval JSONL file")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"prompt file {str(path)!r} is not UTF-8 ({error}); save it so") from None
    prompts = [
        plain_text(line) if path.suffix == ".txt" else parse_prompt(line, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not prompts:
        raise ValueError(f"prompt file {str(path)!r} has no prompts; give one JSON row per line")
    return prompts


def write_prompts(prompts: Iterable[Prompt], path: str | Path) -> None:
    Path(path).write_text("".join(p.to_json() + "\n" for p in prompts), encoding="utf-8")


def without_meanings(prompts: Iterable[Prompt], held_out: Iterable[Prompt]) -> Iterator[Prompt]:
    """The prompts that mean none of the held-out ones, each meaning once."""
    seen = {p.meaning() for p in held_out}
    for prompt in prompts:
        if (key := prompt.meaning()) not in seen:
            seen.add(key)
            yield prompt

"""What a prompt asks for: GenEval's rows, read and written exactly.

Format: djghosh13/geneval, `evaluation_metadata.jsonl`, one JSON object a line. A plain text is a
prompt of tag "text" that includes nothing: scorers read it, detectors have nothing to look for.
What no image can show (contradictions.py) is no prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from sipo.common.files.strict_json import parse_json
from sipo.common.files.writing import write_text
from sipo.feedback.prompts.contradictions import MAX_OBJECTS, contradiction
from sipo.feedback.prompts.prompt_files import prompt_rows

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

_CLAUSES = {"tag", "include", "exclude"}
"""What a row of GenEval has beside its prompt."""

_OPPOSITE: dict[Relation, Relation] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("write a number")
    return value


Whole = Annotated[int, BeforeValidator(_number)]
"""No true, which Python takes for 1; 2.0, as tables write it, is 2."""


class Clause(BaseModel):
    """One requirement: `count` objects of a class, perhaps of a colour or in a relation."""

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


class Prompt(BaseModel):
    """A text and what an image of it must include and must not."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    tag: Tag
    include: tuple[Clause, ...]
    exclude: tuple[Clause, ...] = ()
    text: Annotated[str, Field(alias="prompt", min_length=1)]

    @field_validator("include", "exclude", mode="before")
    @classmethod
    def _null_is_none(cls, clauses: Any) -> Any:
        """As tables write what a row does not have."""
        return () if clauses is None else clauses

    @model_validator(mode="after")
    def _can_be_shown(self) -> Prompt:
        if not self.text.strip():
            raise ValueError("the prompt is blank; write what the image should show")
        if bool(self.include) == (self.tag == "text"):
            wanted = "nothing" if self.include else "at least one clause"
            raise ValueError(f"include of a prompt of tag {self.tag!r} must have {wanted}")
        if self.exclude and self.tag == "text":
            raise ValueError("exclude of a prompt of tag 'text' must have nothing")
        if sentence := contradiction(self.include, self.exclude):
            raise ValueError(sentence)
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
    """One JSONL row, see `prompt_of`."""
    return prompt_of(parse_json(line, where), where)


def prompt_of(row: Any, where: str) -> Prompt:
    """A JSON value as a prompt. A string is a plain text, and so is an object that has a prompt

    and says neither tag nor clauses. Raises ValueError that says `where` and what is wrong with it.
    """
    if isinstance(row, str):
        row = {"prompt": row.strip()}
    if isinstance(row, dict) and "prompt" in row and not _CLAUSES & row.keys():
        row = {"tag": "text", "include": [], "prompt": row["prompt"]}
    try:
        return Prompt.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "row"
        what = first["msg"].removeprefix("Value error, ")
        raise ValueError(
            f"{where}: {field[:80]}: {what} (got {str(first['input'])[:80]!r}); a row looks "
            'like {"tag": "counting", "include": [{"class": "dog", "count": 2}], "prompt": "..."}'
        ) from None
    except RecursionError:
        raise ValueError(f"{where}: is nested too deep; a prompt is flat") from None


def read_prompts(path: str | Path) -> list[Prompt]:
    """All rows of a GenEval JSONL file (or JSON array), or the lines of a `.txt` as plain texts.

    "-" is standard input; that and other pipes may be either. A line of a text that begins with
    "# " is a comment. ValueError names file and line of the first bad one.
    """
    prompts = [prompt_of(row, where) for where, row in prompt_rows(Path(path))]
    if not prompts:
        raise ValueError(f"prompt file {str(path)!r} has no prompts; give one JSON row per line")
    return prompts


def write_prompts(prompts: Iterable[Prompt], path: str | Path) -> None:
    write_text(Path(path), "".join(p.to_json() + "\n" for p in prompts))


def without_meanings(prompts: Iterable[Prompt], held_out: Iterable[Prompt]) -> Iterator[Prompt]:
    """The prompts that mean none of the held-out ones, each meaning once."""
    seen = {p.meaning() for p in held_out}
    for prompt in prompts:
        if (key := prompt.meaning()) not in seen:
            seen.add(key)
            yield prompt

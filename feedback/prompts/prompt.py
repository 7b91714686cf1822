"""What a prompt asks for: GenEval's rows, read and written exactly.

Format: djghosh13/geneval, `evaluation_metadata.jsonl`, one JSON object a line. A plain text is a
prompt of tag "text" that includes nothing: scorers read it, detectors have nothing to look for.
A prompt of a suite that asks has its questions with it (suite, id, group, rule, questions); one
that wants a text to be read in the image may say which (texts; else asked_texts.py); one that
edits has the picture that it changes (before).
What no image can show (contradictions.py) is no prompt.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from sipo.common.files.strict_json import parse_json
from sipo.common.files.urls import place_of
from sipo.feedback.prompts.before import Before, before_of, with_picture
from sipo.feedback.prompts.clause import Clause, Color, Relation
from sipo.feedback.prompts.contradictions import contradiction
from sipo.feedback.prompts.prompt_files import prompt_rows
from sipo.feedback.prompts.question import Mean, Named, Question, fault_of

if TYPE_CHECKING:
    from PIL import Image

Tag = Literal["single_object", "two_object", "counting", "colors", "position", "color_attr", "text"]

EVERY_TAG: tuple[str, ...] = get_args(Tag)
TAGS = EVERY_TAG[:-1]
"""GenEval's six tasks in the order of its tables."""

COLORS: tuple[str, ...] = get_args(Color)
RELATIONS: tuple[str, ...] = get_args(Relation)

_CLAUSES = {"tag", "include", "exclude"}
"""What a row of GenEval has beside its prompt."""
_ASKS = ("questions", "texts")
"""What a row without clauses may ask for."""

ROW = (
    *("tag", "include", "exclude", "prompt", "texts", "before"),
    *("suite", "id", "group", "rule", "questions"),
)
"""What a row may have, in this order."""

_OPPOSITE: dict[Relation, Relation] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}


Picture = Annotated[Before, BeforeValidator(before_of), PlainSerializer(lambda one: one.name)]


class Prompt(BaseModel):
    """A text, what an image of it must include and must not, and what is asked about it.

    `texts` are to be read in the image. `before` is the picture that the text says how to change.
    `suite` and `id` say which prompt of which suite it is, `group` what its score is reported with,
    `rule` how that suite makes a score of the answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    tag: Tag
    include: tuple[Clause, ...]
    exclude: tuple[Clause, ...] = ()
    text: Annotated[str, Field(alias="prompt", min_length=1)]
    texts: tuple[Named, ...] = ()
    before: Picture | None = Field(default=None, exclude_if=lambda picture: picture is None)
    suite: Named | None = None
    id: Named | None = None
    group: Named | None = None
    rule: Mean | None = None
    questions: tuple[Question, ...] = ()

    @field_validator("include", "exclude", "texts", "questions", mode="before")
    @classmethod
    def _null_is_none(cls, clauses: object) -> object:
        """As tables write what a row does not have."""
        return () if clauses is None else clauses

    @model_validator(mode="after")
    def _can_be_shown(self) -> Prompt:
        if not self.text.strip():
            raise ValueError("the prompt is blank; write what the image should show")
        if any(not text.strip() for text in self.texts):
            raise ValueError("one of texts is blank; write what the image should say")
        if bool(self.include) == (self.tag == "text"):
            wanted = "nothing" if self.include else "at least one clause"
            raise ValueError(f"include of a prompt of tag {self.tag!r} must have {wanted}")
        if self.exclude and self.tag == "text":
            raise ValueError("exclude of a prompt of tag 'text' must have nothing")
        if sentence := contradiction(self.include, self.exclude) or fault_of(self.questions):
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

    @property
    def parts(self) -> tuple[str, ...]:
        """What a denoiser is told of it, each part by a name: the text, and the picture's hash."""
        return parts_of(self.text, None if self.before is None else self.before.name)

    @property
    def key(self) -> str:
        """What seeds and repeats go by: the text, of an edit with the hash of its picture."""
        return "\0".join(self.parts)

    def to_row(self) -> dict[str, object]:
        """The row as GenEval writes it: keys in its order, absent fields left out; then ours and
        the suite's. A picture is its hash."""
        row: dict[str, object] = {"tag": self.tag, "include": [c.to_row() for c in self.include]}
        if self.exclude:
            row["exclude"] = [c.to_row() for c in self.exclude]
        row["prompt"] = self.text
        row |= {"texts": list(self.texts)} if self.texts else {}
        if self.before is not None:
            row["before"] = self.before.name
        told = {"suite": self.suite, "id": self.id, "group": self.group, "rule": self.rule}
        row |= {name: value for name, value in told.items() if value is not None}
        return row | ({"questions": [q.to_row() for q in self.questions]} if self.questions else {})

    def to_json(self) -> str:
        return json.dumps(self.to_row())

    def to_line(self) -> str:
        """As `to_json`, with the picture itself, so that a prompt file needs no other."""
        return json.dumps(self.whole_row())

    def whole_row(self) -> dict[str, object]:
        """As `to_row`, with the picture itself."""
        row = self.to_row()
        return row if self.before is None else {**row, "before": self.before.uri}

    def meaning(self) -> Hashable:
        """A key equal for prompts that ask for the same image; of an edit its text and picture.

        Sorted (class, count, colour) clauses, with "A left of B" the same as "B right of A"; a
        plain text means itself.
        """
        if self.tag == "text" or self.before is not None:
            return self.parts
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


def parts_of(text: str, before: str | None) -> tuple[str, ...]:
    return (text,) if before is None else (text, before)


def pictures_of(prompts: Iterable[Prompt]) -> list[Image.Image | None]:
    """What each is to change, decoded. Raises ValueError for one that is not with its prompt."""
    return [None if prompt.before is None else prompt.before.picture() for prompt in prompts]


def plain_text(text: str) -> Prompt:
    return Prompt(tag="text", include=(), text=text.strip())


def parse_prompt(line: str, where: str) -> Prompt:
    """One JSONL row, see `prompt_of`."""
    return prompt_of(parse_json(line, where), where)


def prompt_of(row: object, where: str) -> Prompt:
    """A JSON value as a prompt. A string is a plain text, and so is an object that has a prompt

    and says neither tag nor clauses; with questions it is the prompt of a suite, with texts one
    that asks for these. Raises ValueError that says `where` and what is wrong with it.
    """
    if isinstance(row, str):
        row = {"prompt": row.strip()}
    if isinstance(row, dict) and row.keys() & set(_ASKS) and not _CLAUSES & row.keys():
        if empty := [name for name in _ASKS if row.get(name) == []]:
            raise ValueError(f"{where}: {empty[0]} is empty; ask one, or leave it out")
        row = {"tag": "text", "include": [], **row}
    elif isinstance(row, dict) and "prompt" in row and not _CLAUSES & row.keys():
        told = {name: row[name] for name in ("prompt", "before") if name in row}
        row = {"tag": "text", "include": [], **told}
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
    "# " is a comment. A file of a suite that asks (feedback/question_suites) has its questions.
    A picture (`before`) is a path relative to the file, and is read with it.
    ValueError names file and line of the first bad one.
    """
    prompts, by_id = [], dict[tuple[str | None, str], Prompt]()
    for where, row in prompt_rows(place_of(path)):
        prompt = prompt_of(with_picture(row, where, place_of(path).parent), where)
        if prompt.id and by_id.setdefault((prompt.suite, prompt.id), prompt) != prompt:
            raise ValueError(f"{where}: a second prompt of id {prompt.id!r}; give it another")
        prompts.append(prompt)
    if not prompts:
        raise ValueError(f"prompt file {str(path)!r} has no prompts; give one JSON row per line")
    return prompts


def without_meanings(prompts: Iterable[Prompt], held_out: Iterable[Prompt]) -> Iterator[Prompt]:
    """The prompts that mean none of the held-out ones, each meaning once."""
    seen = {p.meaning() for p in held_out}
    for prompt in prompts:
        if (key := prompt.meaning()) not in seen:
            seen.add(key)
            yield prompt

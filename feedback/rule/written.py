"""From what was read in an image to how far it is what was asked for: pure functions, no model.

After Flow-GRPO's reward for text (yifan123/flow_grpo, `flow_grpo/ocr.py`): 1 - d / n, d the edit
distance between what is read and the n characters that are asked for, at most n; case and white
space do not count, and a text that occurs costs nothing whatever stands beside it. Where an image
says nothing else that is what is computed here. Otherwise there:

- One wrong letter beside another line costs all: OPEM with "till nine" under it is 0 for OPEN. Here
  the run of words that is nearest counts, so it is .75.
- OPENING has OPEN in it. Here a text occurs as whole words.
- The first text of a prompt counts alone. Here all do, by their characters; one that occurs is
  taken out, so that what is asked for twice must be there twice.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict

_TAKEN = "\0"
_ALIKE = str.maketrans("‘’“”", "''\"\"")


@dataclass(frozen=True)
class Comparison:
    """`missing` are texts as they were asked for; `edits` of `characters` in all."""

    missing: tuple[str, ...]
    edits: int
    characters: int

    @property
    def score(self) -> float:
        return 1 - self.edits / self.characters


def compared(asked: Sequence[str], lines: Sequence[str]) -> Comparison:
    """`asked`: one text at least; `lines` as they were read, in their order."""
    read, bounds = _joined(lines)
    missing = list(asked)
    for text in sorted(asked, key=lambda one: -len(_plain(one))):
        if (start := _place(_plain(text), read, bounds)) is not None:
            end = start + len(_plain(text))
            read = read[:start] + _TAKEN * (end - start) + read[end:]
            missing.remove(text)
    edits = sum(_least_edits(_plain(text), read, bounds) for text in missing)
    return Comparison(tuple(missing), edits, sum(len(_plain(text)) for text in asked))


def text_verdict(
    asked: Sequence[str], lines: Sequence[Box], description: dict[str, object]
) -> Verdict:
    """Correct where every text occurs; a line is a box whose class is what it says."""
    said = [line.class_name for line in lines]
    found = compared(asked, said)
    return Verdict(
        score=found.score,
        correct=not found.missing,
        complaints=tuple(Complaint(one, "text", one, " / ".join(said)) for one in found.missing),
        boxes=tuple(lines),
        judge=description,
        evidence={"asked": list(asked), "read": said, "edits": found.edits},
    )


def _plain(text: str) -> str:
    """Without case and white space; wide and curly characters as plain ones."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_ALIKE)
    return "".join(folded.split())


def _joined(lines: Sequence[str]) -> tuple[str, set[int]]:
    """All that was read as one text, and where in it words begin and end."""
    read, bounds = "", {0}
    for word in (word for line in lines for word in line.split()):
        read += _plain(word)
        bounds.add(len(read))
    inside = range(1, len(read))
    return read, bounds | {i for i in inside if not (_joins(read[i - 1]) and _joins(read[i]))}


def _joins(character: str) -> bool:
    """Of scripts that part words by spaces, which are those with capitals, and digits."""
    return character.isdigit() or character.upper() != character


def _least_edits(text: str, read: str, bounds: set[int]) -> int:
    """Insertions, deletions and substitutions (Levenshtein 1966) between `text` and whichever run
    of words of `read` is nearest, the empty one too (Sellers 1980: the table of Wagner & Fischer
    1974 with a first row of zeros where a run may begin, and the least of the last row where it may
    end)."""
    row: list[int] = [0]
    for j in range(1, len(read) + 1):
        row.append(0 if j in bounds else row[-1] + 1)
    for i, character in enumerate(text, 1):
        before, row = row, [i]
        for j, other in enumerate(read, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (character != other)))
    return min(row[j] for j in bounds)


def _place(text: str, read: str, bounds: set[int]) -> int | None:
    starts = (i for i in sorted(bounds) if i + len(text) in bounds)
    return next((i for i in starts if read.startswith(text, i)), None)

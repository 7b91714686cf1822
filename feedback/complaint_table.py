"""Why prompts fail, counted: how many images of a tag are complained of, and of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from typing_extensions import TypedDict

from sipo.feedback.prompts.prompt import Prompt, Tag
from sipo.feedback.rule.complaint import Complaint, Kind
from sipo.feedback.rule.verdict import Verdict

_COLUMNS = 80


class ComplaintCount(TypedDict):
    """`share` is of the tag's images that could be judged; the example is the first there was."""

    tag: Tag
    kind: Kind
    images: int
    share: float
    example: str
    prompt: str


def count_complaints(judged: Iterable[tuple[Prompt, Verdict]]) -> list[ComplaintCount]:
    """By tag as they come, the commonest kind first. An image counts once for each of its kinds."""
    images: Counter[Tag] = Counter()
    counts: Counter[tuple[Tag, Kind]] = Counter()
    first: dict[tuple[Tag, Kind], tuple[Complaint, Prompt]] = {}
    for prompt, verdict in judged:
        images[prompt.tag] += not verdict.failed
        parts = [part for complaint in verdict.complaints for part in complaint.parts()]
        for part in parts:
            first.setdefault((prompt.tag, part.kind), (part, prompt))
        counts.update({(prompt.tag, part.kind) for part in parts})
    tags = list(images)
    return [
        ComplaintCount(
            tag=tag,
            kind=kind,
            images=count,
            share=count / images[tag],
            example=str(first[tag, kind][0]),
            prompt=first[tag, kind][1].text,
        )
        for (tag, kind), count in sorted(
            counts.items(), key=lambda row: (tags.index(row[0][0]), -row[1], row[0][1])
        )
    ]


def complaint_lines(rows: Sequence[ComplaintCount]) -> list[str]:
    """The table for a terminal; nothing where nothing is complained of."""
    if not rows:
        return []
    lines = ["", f"{'why images fail':16}{'kind':10}{'images':>8}{'share':>8}  example"]
    for row in rows:
        head = f"{row['tag']:16}{row['kind']:10}{row['images']:>8}{row['share']:>8.1%}  "
        example, space = row["example"], _COLUMNS - len(head)
        lines.append(head + (example if len(example) <= space else f"{example[: space - 3]}..."))
    return lines

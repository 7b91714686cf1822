"""What a judge is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict

if TYPE_CHECKING:
    from PIL import Image


@runtime_checkable
class Judge(Protocol):
    """Looks at images and says how well each shows what its prompt asks."""

    def describe(self) -> dict[str, object]:
        """Id, weights hash, thresholds: what a verdict must carry to be comparable."""
        ...

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        """One verdict an image, in order. A failure is a verdict that says so, no exception."""
        ...


def sees_clips(judge: Judge) -> bool:
    """Whether it is handed clips whole, and no image: it has the attribute `sees_clips`."""
    return bool(getattr(judge, "sees_clips", False))

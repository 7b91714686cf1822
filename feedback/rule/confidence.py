"""How sure a judge is of the one object that single_object prompts ask for."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict


def single_object_confidence(
    prompts: Sequence[Prompt], verdicts: Sequence[Verdict]
) -> float | None:
    """The mean score of the surest box of the class that is asked for, 0 where none was found; of
    judged images of single_object prompts, in parallel. None without such images, and where the
    judge has no boxes.
    """
    judged = [pair for pair in zip(prompts, verdicts, strict=True) if not pair[1].failed]
    if not any(verdict.boxes or "thresholds" in verdict.judge for _, verdict in judged):
        return None
    found = [
        max((box.score for box in verdict.boxes if box.class_name == asked), default=0.0)
        for prompt, verdict in judged
        if prompt.tag == "single_object"
        for asked in [prompt.include[0].class_name]
    ]
    return fmean(found) if found else None

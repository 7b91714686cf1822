"""Prompts and judges as Python code hands them in: `sipo.load_judge`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sipo.common.errors import in_python_words
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import Prompt, prompt_of

if TYPE_CHECKING:
    from sipo.feedback.registry import JudgeSettings

Prompts = str | Path | Iterable[str | Prompt | Mapping[str, object]]
"""A file of prompts, or the prompts: a text is a plain text, a mapping a row of GenEval's."""
ScoreFunction = Callable[[Sequence[Image.Image], Sequence[Prompt]], Sequence[float]]
AnyJudge = str | Judge | ScoreFunction
"""A name as `--judge` takes it, a judge, or a function `(images, prompts) -> scores` in [0, 1]."""


def load_judge(
    judge: AnyJudge = "yolo-world",
    *,
    prompts: Prompts = (),
    weights: str | Path | None = None,
    settings: str | Path | JudgeSettings | None = None,
) -> Judge:
    """A judge of images: `judge.judge(images, prompts)` gives a Verdict each.

    `prompts`: those it is to judge; a detector looks for the classes that they name and for no
    other. `weights` and `settings` are `--judge-weights` and `--judge-settings`. Raises ValueError
    for an unknown name or setting, missing weights, and a class the judge cannot name.
    """
    from sipo.feedback import registry

    with in_python_words():
        if given := given_judge(judge):
            return given
        classes = registry.vocabulary_of(all_prompts(prompts))
        return registry.load_judge(str(judge), weights, classes, settings)


def given_judge(judge: AnyJudge | None) -> Judge | None:
    """The judge that was handed in, None for a name."""
    from sipo.feedback.own_judge import as_judge

    return None if judge is None or isinstance(judge, str) else as_judge(judge)


def given_prompts(prompts: Prompts | None) -> list[Prompt] | None:
    """The prompts that were handed in, None for a file. Raises ValueError for what is none."""
    if prompts is None or isinstance(prompts, str | Path):
        return None
    return [
        prompt if isinstance(prompt, Prompt) else prompt_of(prompt, f"prompts[{number}]")
        for number, prompt in enumerate(prompts)
    ]


def all_prompts(prompts: Prompts) -> list[Prompt]:
    from sipo.feedback.prompts.prompt import read_prompts

    given = given_prompts(prompts)
    return read_prompts(str(prompts)) if given is None else given

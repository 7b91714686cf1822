"""What a judge needs of prompts, known by its name: said before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sipo.feedback.judge_urls import protocol_of
from sipo.feedback.prompts.asked_texts import texts_of
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.prompts.questions import read_questions
from sipo.feedback.registry import MOST_BOXES, JudgeSettings, read_settings, split_names

READERS = "pickscore, hpsv2.1, image-reward"

_EMBEDDED = ("yolo-world", "mini-evaluator")
"""Judges whose default weights are of the embedded world."""
_PUBLISHED = {"yolo-world": "yolov8x-worldv2.pt"}
"""Official weights of theirs."""


def require_published(
    judge: str, weights: str | Path | None, option: str = "--judge", weights_option: str = ""
) -> None:
    """Raises ValueError for a judge whose weights know the embedded world alone.

    `weights` are what `weights_option` (by default `option`-weights) names.
    """
    for name, own in split_names(judge, option):
        if name not in _EMBEDDED or own or weights:
            continue
        said = f"{option} {name!r} has no weights of its own here but those of the embedded emoji "
        said += "world, which know no other model's images; "
        if published := _PUBLISHED.get(name):
            said += f"give {weights_option or f'{option}-weights'} {published}, or {option} "
            raise ValueError(f"{said}{name}={published}")
        raise ValueError(f"{said}give another judge")


def check_prompts(
    judge: str,
    prompts: Sequence[Prompt],
    source: str | Path,
    settings: str | Path | JudgeSettings | None = None,
    option: str = "--judge",
) -> None:
    """Raises ValueError for prompts that `judge`, or one of several, could only fail on.

    `source` is where the prompts are from, `option` what names the judge.
    """
    given = read_settings(settings)
    for name, own in split_names(judge, option):
        who, settings_of = f"{option} {name!r}", given.get(name, {})
        asks = name == "vlm" or (name == "http" and _is_chat(own, settings_of))
        if asks and (file := settings_of.get("questions")):
            _require_questions(who, prompts, source, str(file))
        elif asks:
            bare = [one for one in prompts if not (one.questions or one.before)]
            needs = "GenEval rows, a suite's file of questions"
            _require_clauses(who, "asks about", needs, prompts, source, among=bare)
        elif name == "ocr":
            _require_texts(who, prompts, source)
        elif name in MOST_BOXES:
            _require_clauses(who, "looks for", "GenEval rows", prompts, source)
            _require_few(who, MOST_BOXES[name], prompts, source)


def _is_chat(url: str | None, settings: Mapping[str, object]) -> bool:
    """Whether it is known, before the judge is loaded, that questions will be asked."""
    said, address = settings.get("protocol"), url or settings.get("url")
    return said == "openai" or (not said and protocol_of(str(address or "")) == "openai")


def _require_clauses(
    who: str,
    does: str,
    needs: str,
    prompts: Sequence[Prompt],
    source: str | Path,
    among: Sequence[Prompt] | None = None,
) -> None:
    """Of `among`, by default all."""
    if plain := [one for one in (prompts if among is None else among) if not one.include]:
        those, asked = _those(plain, prompts, source), any(one.questions for one in plain)
        other = (
            "that asks their questions: vlm, http=URL" if asked else f"that reads text: {READERS}"
        )
        raise ValueError(
            f"{who} {does} the objects of a prompt, and plain text names none: {those}; give "
            f"{needs}, or a judge {other}"
        )


def _require_few(who: str, most: int, prompts: Sequence[Prompt], source: str | Path) -> None:
    many = [
        prompt
        for prompt in prompts
        if sum(clause.count for clause in prompt.include) > most
        or any(clause.count > most for clause in prompt.exclude)
    ]
    if many:
        raise ValueError(
            f"{who} tells apart at most {most} objects of an image, too few for "
            f"{_those(many, prompts, source)}; ask for fewer, or take another judge"
        )


def _require_questions(who: str, prompts: Sequence[Prompt], source: str | Path, file: str) -> None:
    table = read_questions(file)
    unknown = [prompt for prompt in prompts if prompt.text.strip() not in table]
    if unknown:
        raise ValueError(
            f"{who} finds no questions in {file!r} for {_those(unknown, prompts, source)}; write "
            "them, or leave these prompts out"
        )


def _require_texts(who: str, prompts: Sequence[Prompt], source: str | Path) -> None:
    if silent := [prompt for prompt in prompts if not texts_of(prompt)]:
        raise ValueError(
            f"{who} reads the texts that a prompt asks for, and none is asked for by "
            f"{_those(silent, prompts, source)}; put it in double quotes, give its row texts, or "
            "leave these prompts out"
        )


def _those(some: Sequence[Prompt], prompts: Sequence[Prompt], source: str | Path) -> str:
    first = prompts.index(some[0]) + 1
    return (
        f"{len(some)} of the {len(prompts)} prompts of {str(source)!r}, the first number {first}, "
        f"{some[0].text[:80]!r}"
    )

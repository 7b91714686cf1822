"""Judges from outside this tree: a judge, a factory of one, or a function of images and prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PIL import Image

from sipo.common.plugins import Part, part_of
from sipo.feedback.judge import Judge
from sipo.feedback.judge_batches import Asked, JudgesMistakeError, judge_in_batches
from sipo.feedback.judge_loading import check_names
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict

if TYPE_CHECKING:
    from sipo.feedback.detectors.base import Detector

THRESHOLD = 0.5  # score from which an image is correct
BATCH = 16

ScoreFunction = Callable[[Sequence[Image.Image], Sequence[Prompt]], Iterable[float]]
"""Images and what was asked of each -> a score in [0, 1] each."""


def as_judge(part: object, name: str | None = None) -> Judge:
    """A judge of what was made elsewhere: a judge, a factory (no argument must be given), or a

    function (images, prompts) -> scores in [0, 1]. `name` is the id in its description, which has
    the hash of its source too. Raises ValueError for all else.
    """
    origin = part_of(part, name)
    return _named(_made(part, origin.name, {}), origin)


def load_own(
    part: Part,
    weights: str | Path | None,
    vocabulary: Sequence[str],
    settings: Mapping[str, object],
) -> Judge:
    """A factory gets of `weights`, `vocabulary` and its settings those that it names, and as

    `settings` the others; a function takes the setting `threshold`. Raises ValueError for the rest.
    """
    given: dict[str, object] = {} if weights is None else {"weights": weights}
    if "vocabulary" in _arguments(part.value):
        given["vocabulary"] = tuple(vocabulary)
    return _named(_made(part.value, part.name, {**given, **settings}), part)


class FunctionJudge:
    """Its verdicts' scores are the function's."""

    def __init__(self, function: ScoreFunction, name: str, threshold: float = THRESHOLD) -> None:
        self.function, self.name, self.threshold = function, name, threshold

    def describe(self) -> dict[str, object]:
        return {"id": self.name, "threshold": self.threshold}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_in_batches(self, self._judge_batch, images, prompts, BATCH)

    def _judge_batch(self, batch: Sequence[Asked], description: dict[str, object]) -> list[Verdict]:
        given = self.function([image for image, _ in batch], [prompt for _, prompt in batch])
        return [self._verdict(score, description) for score in self._checked(given, len(batch))]

    def _checked(self, given: Iterable[float], count: int) -> list[float]:
        """A number of [0, 1] an image. Raises JudgesMistakeError."""
        who = f"judge {self.name!r}"
        try:
            scores = [float(score) for score in given]
        except (TypeError, ValueError):
            raise JudgesMistakeError(
                f"{who} gave {str(given)[:80]!r}; return one number an image, in a list"
            ) from None
        if len(scores) != count:
            raise JudgesMistakeError(
                f"{who} gave {len(scores)} scores for {count} images; return one an image"
            )
        for score in scores:
            if not 0 <= score <= 1:
                raise JudgesMistakeError(
                    f"{who} gave the score {score:g}; return numbers between 0 and 1"
                )
        return scores

    def _verdict(self, score: float, description: dict[str, object]) -> Verdict:
        correct = score >= self.threshold
        complaint = Complaint(self.name, "score", self.threshold, score)
        return Verdict(
            score=score,
            correct=correct,
            complaints=() if correct else (complaint,),
            judge=description,
        )


class NamedJudge:
    """A judge under the name that it was called by; its description says where it comes from."""

    def __init__(self, judge: Judge, part: Part) -> None:
        self._judge, self._part = judge, part

    def describe(self) -> dict[str, object]:
        origin = {"id": self._part.name, "part": self._part.provenance()}
        return {**self._judge.describe(), **origin}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        verdicts, description = self._judge.judge(images, prompts), self.describe()
        if (count := len(verdicts)) != len(images):
            raise ValueError(
                f"judge {self._part.name!r} gave {count} verdicts for {len(images)} images; "
                "return one an image"
            )
        return [verdict.model_copy(update={"judge": description}) for verdict in verdicts]


class NamedDetector(NamedJudge):
    """The same of a judge that detects, whose thresholds `calibrate-judge` finds."""

    def __init__(self, judge: Judge, part: Part) -> None:
        super().__init__(judge, part)
        detector = cast("Detector", judge)
        self.vocabulary, self.thresholds = detector.vocabulary, detector.thresholds
        self.detect = detector.detect


def is_score_function(value: object) -> bool:
    """Whether it is called with images and prompts, and is no judge and no maker of one."""
    is_judge = isinstance(value, Judge) and not isinstance(value, type)
    return callable(value) and not is_judge and list(_arguments(value).values()).count(False) == 2


def _named(judge: Judge, part: Part) -> NamedJudge:
    detects = all(hasattr(judge, name) for name in ("detect", "thresholds", "vocabulary"))
    return NamedDetector(judge, part) if detects else NamedJudge(judge, part)


def _made(value: object, name: str, given: Mapping[str, object]) -> Judge:
    who = f"judge {name!r}"
    if isinstance(value, Judge) and not isinstance(value, type):
        check_names(who, given, ())
        return value
    arguments = _arguments(value)
    needed = [one for one, has_default in arguments.items() if not has_default]
    if not callable(value) or len(needed) not in (0, 2):
        takes = f"needs {', '.join(needed)}" if needed else "cannot be called"
        raise ValueError(
            f"{who} {takes}; give a judge (describe, judge), what makes one without arguments, or "
            "a function (images, prompts) -> scores"
        )
    if needed:
        check_names(who, given, ("threshold",))
        return FunctionJudge(value, name, _threshold(given.get("threshold", THRESHOLD), who))
    return _made(value(**_taken(arguments, given, who)), name, {})


def _arguments(value: object) -> dict[str, bool]:
    """By name, whether it has a default; {} for what cannot be called."""
    if not callable(value):
        return {}
    starred = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    parameters = signature(value).parameters.values()
    return {p.name: p.default is not p.empty for p in parameters if p.kind not in starred}


def _taken(arguments: Iterable[str], given: Mapping[str, object], who: str) -> Mapping[str, object]:
    """What is given as the factory's arguments."""
    named = {name: value for name, value in given.items() if name in arguments}
    others = {name: value for name, value in given.items() if name not in arguments}
    if "settings" in arguments and "weights" not in others:
        return {**named, "settings": others}
    check_names(who, others, [name for name in arguments if name != "vocabulary"])
    return named


def _threshold(value: object, who: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{who}, setting threshold: {str(value)[:80]} must lie in [0, 1]")
    return value

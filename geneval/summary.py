"""`config.json` and `summary.json`: what an evaluation depends on, and its numbers."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import NotRequired, TypedDict

from pydantic import Field

from sipo.common.records import Record
from sipo.common.statistics import OVERALL, Interval, interval_fields, intervals, lonely, means
from sipo.feedback.complaint_table import ComplaintCount, count_complaints
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.confidence import single_object_confidence
from sipo.geneval.judge_images import Judged
from sipo.geneval.question_scores import QuestionScores, question_scores
from sipo.geneval.results import ImageResult, Tally, tally, tally_groups, to_row

_PACKAGES = ("sipo", "torch", "diffusers", "transformers", "ultralytics", "numpy", "pillow")


class PromptSet(Record):
    count: int
    sha256: str


class Seeds(Record):
    seed: int
    rule: str


class EvaluationConfig(Record):
    """What a folder is held to: everything that its images and verdicts depend on."""

    suite: str | None = None  # None: `prompts` are a file's, or those found with the images
    prompts: PromptSet
    images_per_prompt: int | str  # "2 to 4" where prompts have different numbers
    images: str | None = None  # the folder of images that were made elsewhere
    batch_size: int | None = None
    judge: str | None = None  # names, without weights
    listed: str | None = None  # the list that names images made elsewhere
    detector: dict[str, object]  # what the judge says of itself: id, weights, thresholds
    backbone: dict[str, object] | None = None  # name, family, weights_sha256, ...
    sampler: dict[str, object] | None = None  # steps, guidance, height, width, ...
    dtype: str | None = None  # None: float32
    seeds: Seeds | None = None


class TagSummary(Record):
    accuracy: float
    interval: Interval | None
    no_interval: str | None = None  # why there is none
    images: int
    prompts: int


class Failures(Record):
    """Images that the judge could not look at; they are in no accuracy."""

    images: int
    causes: dict[str, int]
    names: list[str]


class Accuracies(Record):
    """Shares of correct images with 95 % intervals; `overall` is the unweighted mean over tags."""

    overall: float
    interval: Interval | None
    no_interval: str | None = None
    tags: dict[str, TagSummary]
    groups: dict[str, TagSummary] = Field(
        default={}
    )  # by a suite's groups, where its prompts have some
    questions: QuestionScores | None = None  # where prompts have questions of their own
    complaints: list[ComplaintCount] = Field(default=[])  # why images fail; older folders have none
    empty_share: float  # of images in which the judge found no object
    sharpness: float | None = None  # the mean; older folders have none
    single_object_confidence: float | None = None  # None too where the judge has no boxes
    failures: Failures
    thresholds: object = None  # the detector's


class EvaluationSummary(EvaluationConfig, Accuracies):
    """As `summary.json` has it: the numbers first, then what they depend on."""

    images_sha256: str
    command: str  # that asked for it
    versions: dict[str, str]


def prompts_sha256(prompts: Sequence[Prompt]) -> str:
    return hashlib.sha256("\n".join(prompt.to_json() for prompt in prompts).encode()).hexdigest()


def images_sha256(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def summarise(
    names: Sequence[str], prompts: Sequence[Prompt], judged: Sequence[Judged]
) -> tuple[list[ImageResult], Accuracies]:
    """The rows of the judged images, and their numbers.

    `names`, `prompts` and `judged` are parallel, one an image. Raises ValueError when the judge
    failed for a whole tag.
    """
    verdicts = [one.verdict for one in judged]
    triples = list(zip(names, prompts, judged, strict=True))
    rows = [
        to_row(name, prompt, one.verdict, one.sharpness)
        for name, prompt, one in triples
        if not one.verdict.failed
    ]
    failed = [(n, prompt, one.verdict.failure) for n, prompt, one in triples if one.verdict.failed]
    counts = tally(rows)
    for _, prompt, cause in failed:
        if prompt.tag not in counts:
            raise ValueError(
                f"the judge failed on every image of tag {prompt.tag!r} ({cause}); "
                "an overall of the remaining tags would mean nothing, so mend the judge first"
            )
    shares, bounds = means(counts), intervals(counts)
    empty = sum(not verdict.boxes for verdict in verdicts if not verdict.failed)
    return rows, Accuracies(
        overall=shares[OVERALL],
        **interval_fields(bounds[OVERALL], lonely(counts)),
        tags=_by_stratum(counts, shares, bounds),
        **_of_suite(rows),
        complaints=count_complaints(zip(prompts, verdicts, strict=True)),
        empty_share=empty / len(rows),
        sharpness=fmean(row.sharpness for row in rows if row.sharpness is not None),
        single_object_confidence=single_object_confidence(prompts, verdicts),
        failures=Failures(
            images=len(failed),
            causes=dict(Counter(str(cause) for _, _, cause in failed)),
            names=[name for name, _, _ in failed],
        ),
    )


class _OfSuite(TypedDict):
    groups: NotRequired[dict[str, TagSummary]]
    questions: NotRequired[QuestionScores]


def _of_suite(rows: Sequence[ImageResult]) -> _OfSuite:
    """What only suites' prompts have."""
    found: _OfSuite = {}
    if counts := tally_groups(rows):
        found["groups"] = _by_stratum(counts, means(counts), intervals(counts))
    if (scores := question_scores(rows)) is not None:
        found["questions"] = scores
    return found


def _by_stratum(
    counts: Tally, shares: Mapping[str, float], bounds: Mapping[str, Interval | None]
) -> dict[str, TagSummary]:
    return {
        name: TagSummary(
            accuracy=shares[name],
            **interval_fields(bounds[name]),
            images=sum(images for _, images in by_prompt.values()),
            prompts=len(by_prompt),
        )
        for name, by_prompt in counts.items()
    }

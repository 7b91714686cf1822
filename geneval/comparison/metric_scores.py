"""Scores by any judge or metric, image by image: what tables of preference metrics are made of.

`EVAL/metrics/pickscore.json` keeps who scored, the hash of the images it saw, and its scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Annotated

from pydantic import Field

from sipo.common.bars import bar
from sipo.common.records import Record, read_record
from sipo.common.statistics import Estimate, PairedMeans, estimate, paired_means
from sipo.feedback.frames import judge_for
from sipo.feedback.judge import Judge
from sipo.feedback.judge_needs import check_judge_weights
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.registry import load_judge, require_judge, vocabulary_of
from sipo.feedback.rule.verdict import Verdict
from sipo.geneval import layout
from sipo.geneval.comparison.outputs import Outputs, open_same
from sipo.geneval.comparison.own_metric import find_metric
from sipo.geneval.evaluation_folder import write_json
from sipo.geneval.judge_images import judge_images
from sipo.geneval.summary import images_sha256

METRICS = "metrics"
_AGAIN = "remove it and run sipo-geneval metrics again"

Scores = Mapping[str, float]
"""Filename ("00003/samples/0001.png") -> raw score, of the images that could be scored."""


class RunScores(Record):
    mean: Estimate
    images: int
    failures: int


class MetricTable(Record):
    """`wins[b][a]`: share of images, paired by prompt and index, that b scores above a."""

    metric: str
    judge: dict[str, object]  # who scored
    runs: dict[str, RunScores]
    wins: dict[str, dict[str, float]]


class KeptScores(Record):
    """The file of one run and metric."""

    judge: dict[str, object]
    images_sha256: str
    scores: dict[str, Annotated[float, Field(strict=True, allow_inf_nan=False)]] = Field(
        min_length=1
    )
    failures: dict[str, str | None]
    parts: dict[str, dict[str, float]] = Field(default_factory=dict)


def split_metrics(names: str) -> list[tuple[str, str | None]]:
    """ "a=weights,module:b" -> [("a", "weights"), ("module:b", None)].

    Raises ValueError for a name that is no judge's and no metric's.
    """
    asked = []
    for part in names.split(","):
        name, _, weights = part.strip().partition("=")
        if find_metric(name) is None:
            require_judge(name, "--metric")
        asked.append((name, weights or None))
    return asked


def score_runs(
    evaluations: Sequence[Path],
    metric: str,
    weights: Path | None = None,
    batch_size: int = 32,
    judge: Judge | None = None,
    settings: Path | None = None,
) -> MetricTable:
    """`metric` is a judge's name, or a function of one's own. `judge` stands in for it.

    A run that the same weights (or the same source) scored before is not scored again. Raises
    ValueError for an unknown metric and for runs that differ in prompts.
    """
    split_metrics(metric)
    if not evaluations:
        raise ValueError("no evaluation was given; give one folder or more")
    runs = open_same(evaluations)
    prompts = next(iter(runs.values())).prompts
    if judge is None and (own_metric := find_metric(metric)):
        if weights:
            raise ValueError(f"--metric {metric!r} is a function, which takes no weights")
        judge = own_metric
    if judge is None:
        check_prompts(metric, prompts, evaluations[0], settings, "--metric")
        classes = vocabulary_of(prompts)
        check_judge_weights(metric, weights, classes, settings, "--metric")
        judge = load_judge(metric, weights, classes, settings)
    kept = {
        name: _scores(judge, run, _file(Path(name), metric), batch_size)
        for name, run in runs.items()
    }
    return MetricTable(
        metric=metric,
        judge=judge.describe(),
        runs={
            name: RunScores(
                mean=mean_of(found),
                images=len(found.scores),
                failures=len(found.failures),
            )
            for name, found in kept.items()
        },
        wins=_wins({name: found.scores for name, found in kept.items()}),
    )


def kept_metrics(evaluation: Path) -> dict[str, KeptScores]:
    """What was kept of an evaluation, by the file's name."""
    files = sorted((evaluation / METRICS).glob("*.json"))
    return {file.stem: read_record(file, KeptScores, _AGAIN) for file in files}


def mean_of(kept: KeptScores) -> Estimate:
    """Over images, the interval over prompts."""
    return mean_score(kept.scores)


def mean_score(scores: Scores) -> Estimate:
    return estimate((_prompt_of(image), score) for image, score in sorted(scores.items()))


def compare_metric(a: Path, b: Path, metric: str) -> PairedMeans:
    """See `paired`. Raises ValueError for runs not yet scored, or not by the same judge."""
    before, after = _read(a, metric), _read(b, metric)
    if before.judge != after.judge:
        raise ValueError(
            f"{str(a)!r} and {str(b)!r} were scored by different weights or settings of "
            f"{metric!r}; score both at once: sipo-geneval metrics {a} {b} --metric {metric}"
        )
    return paired(before.scores, after.scores)


def paired(a: Scores, b: Scores) -> PairedMeans:
    """Over the images that both have; `dropped` are those that only one of them has."""
    both = sorted(a.keys() & b.keys())
    if not both:
        raise ValueError("the two runs have no scored image in common; score the same prompts")
    prompts = [_prompt_of(name) for name in both]
    found = paired_means(prompts, [a[name] for name in both], [b[name] for name in both])
    return found.model_copy(update={"dropped": len(a.keys() ^ b.keys())})


def raw_score(verdict: Verdict) -> float:
    """In the scorer's own unit where it has one, else in [0, 1]; of a clip its frames' mean."""
    frames = verdict.evidence.get("frames")
    if isinstance(frames, dict):
        by_frame = frames.values()
        return fmean(frame.get("evidence", {}).get("raw", frame["score"]) for frame in by_frame)
    raw = verdict.evidence.get("raw", verdict.score)
    assert isinstance(raw, int | float), "a failed verdict has no score"
    return float(raw)


def parts_of(by_name: Mapping[str, Verdict]) -> dict[str, dict[str, float]]:
    """What some scorers say of several dimensions, by dimension and picture; of one alone nothing,
    and nothing of a clip that was looked at frame by frame."""
    parts: dict[str, dict[str, float]] = {}
    for name, verdict in by_name.items():
        found = verdict.evidence.get("parts")
        if isinstance(found, dict) and len(found) > 1:
            for part, score in found.items():
                parts.setdefault(str(part), {})[name] = float(score)
    return parts


def _scores(judge: Judge, run: Outputs, file: Path, batch_size: int) -> KeptScores:
    """What `file` has, if it has it of this judge and these images; else made and written there."""
    paths = [path for row in run.samples for path in row]
    judge = judge_for(judge, layout.is_clip(paths[0]))
    described, sha256 = judge.describe(), images_sha256(paths)
    if file.is_file():
        kept = read_record(file, KeptScores, _AGAIN)
        if (kept.judge, kept.images_sha256) == (described, sha256):
            return kept
    prompts = [p for p, row in zip(run.prompts, run.samples, strict=True) for _ in row]
    judged = judge_images(judge, paths, prompts, batch_size)
    verdicts = []
    with bar(len(paths), f"{file.stem} of {run.root.name}", "img") as shown:
        for one in judged:
            verdicts.append(one.verdict)
            shown.update()
    by_name = dict(zip(_names(run), verdicts, strict=True))
    if all(verdict.failed for verdict in verdicts):
        raise ValueError(
            f"{file.stem} failed on every image of {str(run.root)!r}: {verdicts[0].failure}"
        )
    made = KeptScores(
        judge=described,
        images_sha256=sha256,
        scores={
            name: raw_score(verdict) for name, verdict in by_name.items() if not verdict.failed
        },
        failures={name: verdict.failure for name, verdict in by_name.items() if verdict.failed},
        parts=parts_of(by_name),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, made.to_dict())
    return made


def _names(run: Outputs) -> list[str]:
    """As an evaluation of our own would name the images, whatever their files are."""
    suffix = ".mp4" if layout.is_clip(run.samples[0][0]) else ".png"
    return [
        layout.image_name(number, index, suffix)
        for number, row in enumerate(run.samples)
        for index in range(len(row))
    ]


def _read(evaluation: Path, metric: str) -> KeptScores:
    file = _file(evaluation, metric)
    if not file.is_file():
        raise ValueError(
            f"{str(evaluation)!r} has no scores of {metric!r}; run sipo-geneval metrics "
            f"{evaluation} --metric {metric} first"
        )
    return read_record(file, KeptScores, _AGAIN)


def _file(evaluation: Path, metric: str) -> Path:
    return evaluation / METRICS / f"{metric.replace(':', '.')}.json"


def _prompt_of(name: str) -> str:
    """ "00003/samples/0001.png" -> "00003"."""
    return name.split("/")[0]


def _wins(scores: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    wins: dict[str, dict[str, float]] = {name: {} for name in scores}
    for a, b in combinations(scores, 2):
        rate = paired(scores[a], scores[b]).win_rate.value
        wins[b][a], wins[a][b] = rate, 1 - rate
    return wins

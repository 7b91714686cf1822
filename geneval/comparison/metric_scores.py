"""Scores by any judge, image by image: what tables of preference metrics are made of.

`EVAL/metrics/pickscore.json` keeps who scored, the hash of the images it saw, and its scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from sipo.common.files.text import read_json
from sipo.feedback.frames import FrameJudge
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.registry import load_judge, require_judge, vocabulary_of
from sipo.feedback.rule.verdict import Verdict
from sipo.geneval import layout
from sipo.geneval.comparison.outputs import Outputs, open_same
from sipo.geneval.evaluation_folder import write_json
from sipo.geneval.judge_images import judge_images
from sipo.geneval.statistics import mean_interval, said
from sipo.geneval.summary import images_sha256

METRICS = "metrics"

Scores = dict[str, float]
"""Filename ("00003/samples/0001.png") -> raw score, of the images that could be scored."""


def score_runs(
    evaluations: Sequence[Path],
    metric: str,
    weights: Path | None = None,
    batch_size: int = 32,
    judge: Judge | None = None,
    settings: Path | None = None,
) -> dict[str, Any]:
    """`metric`, `judge`, `runs` (`mean` with its interval, `images`, `failures`) and `wins`.

    `wins[b][a]`: share of images, paired by prompt and index, that b scores above a; ties count
    half. A run that the same weights scored before is not scored again. Raises ValueError for an
    unknown metric and for runs that differ in prompts.
    """
    require_judge(metric, "--metric")
    if not evaluations:
        raise ValueError("no evaluation was given; give one folder or more")
    runs = open_same(evaluations)
    prompts = next(iter(runs.values())).prompts
    if judge is None:
        check_prompts(metric, prompts, evaluations[0], settings, "--metric")
    judge = judge or load_judge(metric, weights, vocabulary_of(prompts), settings)
    kept = {
        name: _score(judge, run, _file(Path(name), metric), batch_size)
        for name, run in runs.items()
    }
    return {
        "metric": metric,
        "judge": judge.describe(),
        "runs": {
            name: {
                "mean": _estimate(entry["scores"]),
                "images": len(entry["scores"]),
                "failures": len(entry["failures"]),
            }
            for name, entry in kept.items()
        },
        "wins": _wins({name: entry["scores"] for name, entry in kept.items()}),
    }


def compare_metric(a: Path, b: Path, metric: str) -> dict[str, Any]:
    """See `paired`. Raises ValueError for runs not yet scored, or not by the same judge."""
    before, after = _read(a, metric), _read(b, metric)
    if before["judge"] != after["judge"]:
        raise ValueError(
            f"{str(a)!r} and {str(b)!r} were scored by different weights or settings of "
            f"{metric!r}; score both at once: sipo-geneval metrics {a} {b} --metric {metric}"
        )
    return paired(before["scores"], after["scores"])


def paired(a: Scores, b: Scores) -> dict[str, Any]:
    """Over the images that both have: means of `a` and `b`, `difference` b - a and `win_rate` of

    b, both with `interval`, `pairs` of how many `prompts`, and `dropped`, the images that only one
    of them has.
    """
    both = sorted(a.keys() & b.keys())
    if not both:
        raise ValueError("the two runs have no scored image in common; score the same prompts")
    gaps = {name: b[name] - a[name] for name in both}
    wins = {name: 0.5 if gap == 0 else float(gap > 0) for name, gap in gaps.items()}
    return {
        "a": fmean(a[name] for name in both),
        "b": fmean(b[name] for name in both),
        "difference": _estimate(gaps),
        "win_rate": _estimate(wins),
        "pairs": len(both),
        "prompts": len({_prompt_of(name) for name in both}),
        "dropped": len(a.keys() ^ b.keys()),
    }


def raw_score(verdict: Verdict) -> float:
    """In the scorer's own unit where it has one, else in [0, 1]; of a clip its frames' mean."""
    frames = verdict.evidence.get("frames")
    if isinstance(frames, dict):
        by_frame = frames.values()
        return fmean(frame.get("evidence", {}).get("raw", frame["score"]) for frame in by_frame)
    raw = verdict.evidence.get("raw", verdict.score)
    assert isinstance(raw, int | float), "a failed verdict has no score"
    return float(raw)


def _score(judge: Judge, run: Outputs, file: Path, batch_size: int) -> dict[str, Any]:
    """What `file` has, if it has it of this judge and these images."""
    paths = [path for row in run.samples for path in row]
    looking = FrameJudge(judge) if layout.is_clip(paths[0]) else judge
    about = {"judge": looking.describe(), "images_sha256": images_sha256(paths)}
    kept = _kept(file) if file.is_file() else {}
    if {key: kept.get(key) for key in about} == about:
        return kept
    prompts = [p for p, row in zip(run.prompts, run.samples, strict=True) for _ in row]
    verdicts = judge_images(looking, paths, prompts, batch_size)
    suffix = ".mp4" if layout.is_clip(paths[0]) else ".png"  # whatever the files are
    names = [
        layout.image_name(number, index, suffix)
        for number, row in enumerate(run.samples)
        for index in range(len(row))
    ]
    said = list(zip(names, verdicts, strict=True))
    about["scores"] = {name: raw_score(verdict) for name, verdict in said if not verdict.failed}
    about["failures"] = {name: verdict.failure for name, verdict in said if verdict.failed}
    if not about["scores"]:
        raise ValueError(
            f"{file.stem} failed on every image of {str(run.root)!r}: {verdicts[0].failure}"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, about)
    return about


def _read(evaluation: Path, metric: str) -> dict[str, Any]:
    file = _file(evaluation, metric)
    if not file.is_file():
        raise ValueError(
            f"{str(evaluation)!r} has no scores of {metric!r}; run sipo-geneval metrics "
            f"{evaluation} --metric {metric} first"
        )
    return _kept(file)


def _kept(file: Path) -> dict[str, Any]:
    """Raises ValueError for a damaged file."""
    remedy = "remove it and run sipo-geneval metrics again"
    try:
        kept = read_json(file)
    except ValueError as error:
        raise ValueError(f"{error}; {remedy}") from None
    scores = kept.get("scores")
    numbers = list(scores.values()) if isinstance(scores, dict) else []
    if not numbers or not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise ValueError(f"{str(file)!r} has no scores, or one that is no number; {remedy}")
    if not isinstance(kept.get("failures"), dict):
        raise ValueError(f"{str(file)!r} does not say 'failures'; {remedy}")
    return kept


def _file(evaluation: Path, metric: str) -> Path:
    return evaluation / METRICS / f"{metric}.json"


def _estimate(scores: Scores) -> dict[str, Any]:
    """Mean and interval; the prompt, which is the folder of its images, is resampled."""
    groups: dict[str, list[float]] = {}
    for name in sorted(scores):
        groups.setdefault(_prompt_of(name), []).append(scores[name])
    mean, interval = mean_interval(list(groups.values()))
    return {"value": mean, **said(interval)}


def _prompt_of(name: str) -> str:
    """ "00003/samples/0001.png" -> "00003"."""
    return name.split("/")[0]


def _wins(scores: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    wins: dict[str, dict[str, float]] = {name: {} for name in scores}
    for a, b in combinations(scores, 2):
        rate = paired(scores[a], scores[b])["win_rate"]["value"]
        wins[b][a], wins[a][b] = rate, 1 - rate
    return wins

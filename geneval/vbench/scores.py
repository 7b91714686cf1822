"""VBench's scores from what it wrote: sixteen dimensions, weighed into quality, semantic and total.

VBench pins old libraries, so it runs in an environment of its own; files are all we share.
Source: Vchitect/VBench, `scripts/constant.py` and `scripts/cal_final_score.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sipo.common.records import Record
from sipo.common.statistics import Floats
from sipo.geneval.vbench.score_files import read_results

Number = TypeVar("Number", float, Floats)

QUALITY = {
    "subject_consistency": (0.1462, 1.0),
    "background_consistency": (0.2615, 1.0),
    "temporal_flickering": (0.6293, 1.0),
    "motion_smoothness": (0.706, 0.9975),
    "dynamic_degree": (0.0, 1.0),
    "aesthetic_quality": (0.0, 1.0),
    "imaging_quality": (0.0, 1.0),
}
"""Dimension -> (least, most) of its raw score; what lies between becomes 0 to 1."""

SEMANTIC = {
    "object_class": (0.0, 1.0),
    "multiple_objects": (0.0, 1.0),
    "human_action": (0.0, 1.0),
    "color": (0.0, 1.0),
    "spatial_relationship": (0.0, 1.0),
    "scene": (0.0, 0.8222),
    "appearance_style": (0.0009, 0.2855),
    "temporal_style": (0.0, 0.364),
    "overall_consistency": (0.0, 0.364),
}

COMPOSITES = ("quality", "semantic", "total")
_WEIGHTS = {"dynamic_degree": 0.5}  # all others 1
_QUALITY_WEIGHT, _SEMANTIC_WEIGHT = 4, 1


class DimensionScore(Record):
    raw: float
    normalised: float


class VBenchScores(Record):
    """All in [0, 1]."""

    total: float
    quality: float
    semantic: float
    dimensions: dict[str, DimensionScore]


def vbench_scores(results: Sequence[Path]) -> VBenchScores:
    """Of a file, a folder of them, or several.

    Upstream counts a missing dimension as 0, here it is a ValueError that names it.
    """
    found = read_results(results)
    if missing := [name for name in QUALITY | SEMANTIC if name not in found]:
        raise ValueError(
            f"{', '.join(map(str, results))} lacks {', '.join(missing)}; evaluate these dimensions "
            "too, and give all files that VBench wrote"
        )
    raw = {name: found[name].score for name in QUALITY | SEMANTIC}
    normalised = {name: normalise(name, value) for name, value in raw.items()}
    return VBenchScores(
        **combine(normalised),
        dimensions={
            name: DimensionScore(raw=raw[name], normalised=value)
            for name, value in normalised.items()
        },
    )


def normalise(name: str, raw: float) -> float:
    least, most = (QUALITY | SEMANTIC)[name]
    return (raw - least) / (most - least)


def combine(normalised: Mapping[str, Number]) -> dict[str, Number]:
    """All dimensions -> `total`, `quality`, `semantic`; linear, so of differences too."""
    quality, semantic = _mean(QUALITY, normalised), _mean(SEMANTIC, normalised)
    weights = _QUALITY_WEIGHT + _SEMANTIC_WEIGHT
    total = (_QUALITY_WEIGHT * quality + _SEMANTIC_WEIGHT * semantic) / weights
    return {"total": total, "quality": quality, "semantic": semantic}


def _mean(dimensions: Iterable[str], normalised: Mapping[str, Number]) -> Number:
    weights = {name: _WEIGHTS.get(name, 1.0) for name in dimensions}
    first, *others = (weights[name] * normalised[name] for name in weights)
    for weighed in others:
        first = first + weighed
    return first / sum(weights.values())

"""Two judges on the same images: how often they agree, and the images they do not agree on.

Or one judge on the images of two ways to sample the same prompts and seeds: what the faster costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sipo.common.records import Record
from sipo.common.statistics import Estimate, estimate
from sipo.common.two_judges import JudgeAgreement, judge_agreement
from sipo.geneval import evaluation_folder
from sipo.geneval.evaluation_folder import RESULTS
from sipo.geneval.results import ImageResult, read_rows


class Disagreement(Record):
    filename: str
    prompt: str
    a: str  # "correct", or the reason why it is not
    b: str


class Changed(Record):
    a: object  # of evaluation A; None: not set
    b: object


class SamplingCost(Record):
    """Of verdicts, where A and B sampled the same prompts and seeds otherwise."""

    settings: dict[str, Changed]  # by name, "cache"
    changed: Estimate  # share of images whose verdict is another; interval over prompts


class Agreement(Record):
    judge_a: str
    judge_b: str
    tags: dict[str, JudgeAgreement]
    overall: JudgeAgreement
    disagreements: list[Disagreement]
    cost: SamplingCost | None = None


def agreement(a: str | Path, b: str | Path) -> Agreement:
    """Raises ValueError when the two saw images of other names, or sampled other seeds."""
    first, second = rows_by_name(Path(a)), rows_by_name(Path(b))
    if lonely := sorted(first.keys() ^ second.keys()):
        raise ValueError(
            f"{str(a)!r} and {str(b)!r} did not judge the same images ({lonely[0]} is in one of "
            f"them, {len(lonely)} in all); run sipo-geneval --images on one folder with both judges"
        )
    pairs = [(first[name], second[name]) for name in sorted(first)]
    tags = dict.fromkeys(row.tag for row, _ in pairs)
    changed = _changed_settings(Path(a), Path(b))
    cost = {"cost": SamplingCost(settings=changed, changed=_changed(pairs))} if changed else {}
    names = judge_names(Path(a), Path(b))
    return Agreement(
        **cost,
        judge_a=names[0],
        judge_b=names[1],
        tags={tag: _measure([p for p in pairs if p[0].tag == tag]) for tag in tags},
        overall=_measure(pairs),
        disagreements=[
            Disagreement(filename=x.filename, prompt=x.prompt, a=_says(x), b=_says(y))
            for x, y in pairs
            if x.correct != y.correct
        ],
    )


def _changed_settings(a: Path, b: Path) -> dict[str, Changed]:
    """How the images of `b` were sampled otherwise than those of `a`; {} where that is not known,
    or where the judge is another too."""
    first, second = (evaluation_folder.read_config(folder) for folder in (a, b))
    alike = first.get("detector") == second.get("detector")
    if not (alike and first.get("sampler") and second.get("sampler")):
        return {}
    sides = [_sampled(config) for config in (first, second)]
    found = {
        name: Changed(a=sides[0].get(name), b=sides[1].get(name))
        for name in sorted({*sides[0], *sides[1]})
        if sides[0].get(name) != sides[1].get(name)
    }
    if found and first.get("seeds") != second.get("seeds"):
        raise ValueError(
            f"{str(a)!r} and {str(b)!r} differ in seeds.seed as well as in {min(found)}, so no "
            "image is the other's; evaluate one of them again with the other's --seed"
        )
    return found


def _sampled(config: Mapping[str, object]) -> dict[str, object]:
    sampler = config["sampler"]
    assert isinstance(sampler, dict)
    return evaluation_folder.FLOAT32 | sampler | {k: config[k] for k in ("dtype",) if k in config}


def _changed(pairs: Sequence[tuple[ImageResult, ImageResult]]) -> Estimate:
    return estimate((x.metadata, float(x.correct != y.correct)) for x, y in pairs)


def judge_names(a: Path, b: Path) -> tuple[str, str]:
    """What the two are called: by their judges, where it is one of both also by their folders."""
    said = [str(evaluation_folder.read_config(path).get("judge") or path.name) for path in (a, b)]
    if said[0] == said[1]:
        said = [f"{said[0]} on {path}" for path in (a, b)]
    return said[0], said[1]


def rows_by_name(path: Path) -> dict[str, ImageResult]:
    """By file name. Raises ValueError for a folder without results."""
    if not (path / RESULTS).is_file():
        raise ValueError(f"{str(path)!r} has no {RESULTS}; run sipo-geneval there first")
    return {row.filename: row for row in read_rows(path / RESULTS)}


def _measure(pairs: list[tuple[ImageResult, ImageResult]]) -> JudgeAgreement:
    return judge_agreement([(x.correct, y.correct) for x, y in pairs])


def _says(row: ImageResult) -> str:
    return "correct" if row.correct else row.reason

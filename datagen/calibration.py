"""A judge held against people: labels of images or candidates, decisions on pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sipo.common.bars import bar
from sipo.common.records import Record
from sipo.common.statistics import Estimate, estimate
from sipo.datagen.folder_settings import CalibrateJudgeSettings
from sipo.datagen.refusals import refuse_impossible_calibration
from sipo.datagen.storage.decisions import DECISIONS, REVIEW, Decisions, names_of
from sipo.datagen.storage.shard_folder import ShardFolder, open_folder
from sipo.datagen.storage.shard_index import CANDIDATES, CandidateFacts
from sipo.feedback.detectors.threshold_calibration import (
    calibrate_judge,
    calibrated,
    calibration_lines,
    detector_verdicts,
    is_detector,
    see,
    thresholds_by_tag,
)
from sipo.feedback.judge import Judge
from sipo.feedback.labelled_images import Labelled, open_image, read_labelled, read_labelled_by
from sipo.feedback.people_labels import read_labels
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.registry import load_judge, vocabulary_of
from sipo.feedback.worth_by_people import (
    LabelledVerdict,
    WorthByPeople,
    least_score,
    require_both_labels,
    worth_by_people,
    worth_lines,
)

BATCH = 16


class PairsByPeople(Record):
    """`agree`: of the pairs kept or flipped the share kept; `surer`: of those with the median
    margin or more, `closer`: of the others. Intervals over prompts."""

    keep: int
    flip: int
    tie: int
    drop: int
    agree: Estimate
    median_margin: float
    surer: Estimate
    closer: Estimate | None


class Held(NamedTuple):
    """As --judge-settings takes it, and as people read it."""

    settings: dict[str, object]
    lines: list[str]


def calibrate(settings: CalibrateJudgeSettings) -> Held:
    """What `sipo-data calibrate-judge` finds."""
    if settings.people is None:
        rows = read_labelled(settings.images)
        found = calibrate_judge(settings.judge, _load(settings, rows), rows)
        return Held(found.settings(), calibration_lines(found))
    if any(settings.images.glob(f"{CANDIDATES}-*.json")):
        return hold_shards(settings)
    labels = read_labels(settings.people)
    rows = read_labelled_by(settings.images, labels)
    require_both_labels([row.correct for row in rows])
    prompts = [row.prompt for row in rows]
    check_prompts(settings.judge, prompts, settings.images, settings.judge_settings)
    tied = list(labels.values()).count(None)
    return hold_images(settings.judge, _load(settings, rows), rows, settings.gain, tied)


def _load(settings: CalibrateJudgeSettings, rows: Sequence[Labelled]) -> Judge:
    known = vocabulary_of([row.prompt for row in rows])
    refuse_impossible_calibration(settings, known)
    return load_judge(settings.judge, settings.judge_weights, known, settings.judge_settings)


def hold_images(name: str, judge: Judge, rows: Sequence[Labelled], gain: float, tied: int) -> Held:
    """Raises ValueError where all rows are right or all wrong."""
    if is_detector(judge):
        seen = see(judge, rows)
        found = calibrated(name, judge, seen)
        verdicts = detector_verdicts(seen, judge.thresholds)
        choose = thresholds_by_tag(judge.thresholds)
        worth = worth_by_people(verdicts, choose, "thresholds", gain, tied)
        about = dict(found.worth) | {"people": worth.to_dict()}
        made = found.settings() | {"calibration": {name: about}}
        return Held(made, [*calibration_lines(found), *worth_lines(worth)])
    return _held(name, _verdicts(judge, rows), gain, tied)


def hold_shards(settings: CalibrateJudgeSettings) -> Held:
    """By the verdicts in the folder. Raises ValueError for another judge than made them."""
    assert settings.people is not None, "asked for"
    folder = open_folder(settings.images)
    judge = folder.config.judge.names
    if settings.judge not in (CalibrateJudgeSettings.model_fields["judge"].default, judge):
        raise ValueError(
            f"--judge {settings.judge!r} is not who judged {str(settings.images)!r} ({judge!r}); "
            f"run sipo-data judge {settings.images} --judge {settings.judge} --out NEW first"
        )
    if settings.people.name == REVIEW:
        return _hold_pairs(judge, folder, settings.people)
    labels = read_labels(settings.people)
    rows = _candidates(folder, {k: v for k, v in labels.items() if v is not None}, settings.people)
    return _held(judge, rows, settings.gain, list(labels.values()).count(None))


def _held(name: str, rows: Sequence[LabelledVerdict[float]], gain: float, undecided: int) -> Held:
    worth: WorthByPeople = worth_by_people(rows, least_score, "least score", gain, undecided)
    made: dict[str, object] = {"calibration": {name: {"people": worth.to_dict()}}}
    return Held(made, worth_lines(worth))


def _verdicts(judge: Judge, rows: Sequence[Labelled]) -> list[LabelledVerdict[float]]:
    """Raises ValueError for an image that the judge fails on."""
    found = []
    with bar(len(rows), "Judging", "img") as shown:
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            images = [open_image(row.image) for row in batch]
            for row, one in zip(batch, judge.judge(images, [r.prompt for r in batch]), strict=True):
                if one.score is None:
                    raise ValueError(f"{str(row.image)!r}: {one.failure}; take its label out")
                prompt = row.prompt.to_json()
                found.append(LabelledVerdict(prompt, row.correct, one.correct, one.score))
            shown.update(len(batch))
    return found


def _candidates(
    folder: ShardFolder, labels: dict[str, bool], people: Path
) -> list[LabelledVerdict[float]]:
    """Those that have a label. Raises ValueError for a name that is none, or is two candidates',
    and for one without a verdict."""
    known: dict[str, list[tuple[CandidateFacts, str]]] = {}
    for number in folder.numbers:
        prompts = dict(folder.prompts_of(number))
        for key, one in folder.candidates(number).samples.items():
            known.setdefault(key, []).append((one, prompts[one.prompt].text))
    found = []
    for name, right in labels.items():
        named = known.get(name, [])
        if len(named) != 1:
            raise ValueError(
                f"--people {str(people)!r} names candidate {name!r}, of which {str(folder.path)!r} "
                f"has {len(named)}; name candidates as the folder's indexes do"
            )
        one, text = named[0]
        if one.score is None:
            raise ValueError(f"the judge failed on candidate {name!r}; take its label out")
        found.append(LabelledVerdict(text, right, one.correct, one.score))
    return found


def _hold_pairs(judge: str, folder: ShardFolder, people: Path) -> Held:
    if people.absolute() != (folder.path / REVIEW).absolute():
        raise ValueError(
            f"--people {str(people)!r} are decisions on another folder's pairs; give "
            f"{str(folder.path / REVIEW)!r}, or that folder as IMAGES"
        )
    worth = pairs_by_people(folder)
    why = "decisions on pairs say what is better, and not what a gain of correct images means"
    made: dict[str, object] = {"calibration": {judge: {"pairs": worth.to_dict()}}}
    return Held(made, [*_pair_lines(worth), f"{why}; label images right or wrong for that"])


def pairs_by_people(folder: ShardFolder) -> PairsByPeople:
    """Raises ValueError where nobody has kept or flipped a pair."""
    decisions, rows = Decisions(folder), []
    for number in folder.numbers:
        facts, prompts = folder.pairs(number).samples, dict(folder.prompts_of(number))
        for key, name in names_of(folder, number).items():
            if decision := decisions.of(name):
                rows.append((prompts[facts[key].prompt].text, facts[key].margin, decision))
    judged = [
        (text, margin, float(d == "keep")) for text, margin, d in rows if d in ("keep", "flip")
    ]
    if not judged:
        raise ValueError(f"{str(folder.path)!r} has no pair kept or flipped; run sipo-data review")
    middle = median(margin for _, margin, _ in judged)
    closer = [(text, kept) for text, margin, kept in judged if margin < middle]
    return PairsByPeople(
        **{name: [d for _, _, d in rows].count(name) for name in DECISIONS},
        agree=estimate((text, kept) for text, _, kept in judged),
        median_margin=middle,
        surer=estimate((text, kept) for text, margin, kept in judged if margin >= middle),
        closer=estimate(closer) if closer else None,
    )


def _pair_lines(found: PairsByPeople) -> list[str]:
    lines = [
        f"{found.keep} pairs kept, {found.flip} flipped, {found.tie} ties, {found.drop} dropped",
        f"the judge's winner is people's: {_said(found.agree)}",
        f"  margin of {found.median_margin:.3f} or more: {_said(found.surer)}",
    ]
    return lines + ([f"  less: {_said(found.closer)}"] if found.closer else [])


def _said(one: Estimate) -> str:
    if one.interval is None:
        return f"{one.value:.3f} (no interval: {one.no_interval})"
    return f"{one.value:.3f} [{one.interval[0]:.3f}, {one.interval[1]:.3f}]"

"""A report card: what the folders of evaluations hold of each model, and nothing else.

Alignment is the evaluation's own: accuracies, or the answers to a suite's questions. Quality is its
sharpness and the scores that `sipo-geneval metrics` kept. People are those of a study of rankings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from sipo.common.records import Record
from sipo.common.statistics import Estimate, Interval, estimate
from sipo.geneval.comparison.metric_scores import KeptScores, kept_metrics, mean_of, mean_score
from sipo.geneval.comparison.ranking import Ranking, rank_results, read_rankings
from sipo.geneval.evaluation_folder import read_summary
from sipo.geneval.layout import SAMPLED
from sipo.geneval.question_scores import RULES, QuestionScores, RuleScores
from sipo.geneval.summary import EvaluationSummary


class CardRow(Record):
    """`by` names the judge, `of` what was counted. No interval: of one prompt there is none."""

    name: str
    value: float
    interval: Interval | None = None
    by: str = ""
    of: str = ""


class ModelCard(Record):
    model: str
    evaluations: list[str]
    alignment: list[CardRow]
    quality: list[CardRow]
    people: list[CardRow]


class ReportCard(Record):
    """`agreement`: per metric the share of people's preferences between two images that it shares,
    ties half, where a study and its scores are there."""

    models: list[ModelCard]
    agreement: list[CardRow]


def report_card(evaluations: Sequence[Path], study: Path | None = None) -> ReportCard:
    """Raises ValueError for a folder without a whole evaluation, and a study of none of them."""
    if len(set(evaluations)) < len(evaluations):
        raise ValueError("the same evaluation was given twice; give each folder once")
    summaries = {str(path): read_summary(path, EvaluationSummary) for path in evaluations}
    kept = {str(path): kept_metrics(path) for path in evaluations}
    people = _people(study, summaries) if study else {}
    by_model: dict[str, list[str]] = {}
    for name, summary in summaries.items():
        by_model.setdefault(_model_of(summary), []).append(name)
    models = [
        ModelCard(
            model=model,
            evaluations=names,
            alignment=[row for name in names for row in _alignment(summaries[name])],
            quality=[row for name in names for row in _quality(summaries[name], kept[name])],
            people=[row for name in names for row in people.get(name, ())],
        )
        for model, names in by_model.items()
    ]
    return ReportCard(models=models, agreement=_agreement(study, kept) if study else [])


def _model_of(summary: EvaluationSummary) -> str:
    if summary.backbone is None:
        return f"images of {summary.listed or summary.images}"
    return f"{summary.backbone.get('name')} ({str(summary.backbone.get('weights_sha256'))[:12]})"


def _judge_of(described: Mapping[str, object]) -> str:
    known = [described.get(key) for key in ("id", "model", "weights")]
    return " ".join(str(one) for one in known if one)


def _alignment(summary: EvaluationSummary) -> Iterator[CardRow]:
    by = _judge_of(summary.detector)
    if summary.questions is not None:
        yield from _answers(summary.questions, by)
        return
    suite = summary.suite or f"prompts {summary.prompts.sha256[:8]}"
    images = sum(tag.images for tag in summary.tags.values())
    of = f"{summary.prompts.count} prompts, {images} images"
    yield CardRow(name=suite, value=summary.overall, interval=summary.interval, by=by, of=of)
    for name, one in (summary.groups or summary.tags).items():
        of = f"{one.prompts} prompts, {one.images} images"
        yield CardRow(
            name=f"{suite}: {name}", value=one.accuracy, interval=one.interval, by=by, of=of
        )


def _answers(scores: QuestionScores, by: str) -> Iterator[CardRow]:
    suite = ", ".join(scores.suites)
    for rule in RULES if scores.rule is None else (scores.rule,):
        rows: dict[str, RuleScores] = {f"{suite}, {rule}": scores.overall}
        rows |= {f"{suite}, {rule}: {name}": group for name, group in scores.groups.items()}
        for name, row in rows.items():
            of = f"{row.prompts} prompts, {row.images} images"
            yield _row(name, getattr(row, rule), by, of)


def _quality(summary: EvaluationSummary, kept: Mapping[str, KeptScores]) -> Iterator[CardRow]:
    images = sum(tag.images for tag in summary.tags.values())
    if summary.sharpness is not None:
        yield CardRow(name="sharpness", value=summary.sharpness, of=f"{images} images")
    for metric, scores in kept.items():
        by = _judge_of(scores.judge)
        yield _row(metric, mean_of(scores), by, f"{len(scores.scores)} images")
        for part, found in scores.parts.items():
            yield _row(f"{metric}: {part}", mean_score(found), by, f"{len(found)} images")


def _people(study: Path, summaries: Mapping[str, object]) -> dict[str, list[CardRow]]:
    """By evaluation, as the study calls it."""
    result = rank_results(study)
    if not (named := [run for run in result.runs if run in summaries]):
        raise ValueError(
            f"{str(study)!r} ranks {', '.join(result.runs)}, none of which is given here; name "
            "the folders as they were named there"
        )
    by = f"{len(result.raters)} rater{'s' * (len(result.raters) > 1)}"
    among = f"{result.answers} answers on {len(result.runs)} runs"
    return {
        run: [
            _row("first rank, share", result.runs[run].rank_1, by, among),
            _row("mean rank, 1 the best", result.runs[run].mean_rank, by, among),
        ]
        for run in named
    }


def _agreement(study: Path, kept: Mapping[str, Mapping[str, KeptScores]]) -> list[CardRow]:
    _, rankings = read_rankings(study)
    metrics = dict.fromkeys(metric for scores in kept.values() for metric in scores)
    rows = []
    for metric in metrics:
        scores = {run: found[metric].scores for run, found in kept.items() if metric in found}
        shared = [pair for ranking in rankings for pair in _shared(ranking, scores)]
        if shared:
            of = f"{len(shared)} preferences of people"
            rows.append(_row(metric, estimate(shared), "", of))
    return rows


def _shared(
    ranking: Ranking, scores: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[str, float]]:
    """(prompt, whether the metric prefers what the rater does) of pairs that both have."""
    stem = ranking.item.replace("/", "/samples/")  # "00003/0001"
    names = [f"{stem}{suffix}" for suffix in SAMPLED]
    for a, b in combinations(ranking.runs, 2):
        of_a, of_b = scores.get(a, {}), scores.get(b, {})
        x, y = (next((of[n] for n in names if n in of), None) for of in (of_a, of_b))
        above = ranking.wins(a, b)
        if x is not None and y is not None and above != 0.5:
            yield ranking.prompt, 0.5 if x == y else float((x > y) == (above == 1))


def _row(name: str, found: Estimate, by: str, of: str) -> CardRow:
    return CardRow(name=name, value=found.value, interval=found.interval, by=by, of=of)


def card_markdown(card: ReportCard) -> str:
    """A table a model, and one of the metrics' agreement with people."""
    parts = []
    for model in card.models:
        lines = [f"### {model.model}", "", f"Of {', '.join(model.evaluations)}.", "", *_HEAD]
        sections = {
            "alignment": model.alignment,
            "quality": model.quality,
            "people": model.people,
        }
        for name, rows in sections.items():
            if rows:
                lines += [f"| **{name}** | | | | |", *map(_line, rows)]
        parts.append("\n".join(lines))
    if card.agreement:
        title = "### Preferences of people that metrics share"
        parts.append("\n".join([title, "", *_HEAD, *map(_line, card.agreement)]))
    return "\n\n".join(parts)


_HEAD = ("| | value | 95 % interval | by | of |", "| --- | --- | --- | --- | --- |")


def _line(row: CardRow) -> str:
    digits = 1 if row.name == "sharpness" else 3
    low_high = ", ".join(f"{bound:.{digits}f}" for bound in row.interval or ())
    cells = [row.name, f"{row.value:.{digits}f}", f"[{low_high}]" * bool(low_high), row.by, row.of]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

"""The tables that commands print: plain text, 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sipo.common.statistics import FEWEST, Interval, PairedMeans, is_clear
from sipo.feedback.complaint_table import complaint_lines
from sipo.geneval.question_tables import gain_lines, question_lines
from sipo.geneval.table_cells import bounds, compared, reasons, signed
from sipo.geneval.vbench.scores import COMPOSITES

if TYPE_CHECKING:
    from sipo.geneval.comparison.agreement import Agreement
    from sipo.geneval.comparison.metric_scores import MetricTable
    from sipo.geneval.comparison.paired import Comparison
    from sipo.geneval.comparison.ranking import RankResult
    from sipo.geneval.summary import EvaluationSummary
    from sipo.geneval.vbench.paired_clips import VBenchComparison
    from sipo.geneval.vbench.scores import VBenchScores

_WIDTH = 16


def evaluation_table(summary: EvaluationSummary) -> str:
    lines = [f"{'':{_WIDTH}}{'accuracy':>10}{'95 % interval':>18}{'images':>9}"]
    for tag, entry in summary.tags.items():
        lines.append(_line(tag, entry.accuracy, entry.interval, entry.images))
    total = sum(entry.images for entry in summary.tags.values())
    lines.append(_line("overall", summary.overall, summary.interval, total))
    lines += reasons([*summary.tags.values(), summary])
    if summary.groups and summary.questions is None:
        lines += ["", f"{'group':{_WIDTH}}{'accuracy':>10}{'95 % interval':>18}{'images':>9}"]
        lines += [
            _line(n, one.accuracy, one.interval, one.images) for n, one in summary.groups.items()
        ]
        lines += reasons(summary.groups.values())
    told = question_lines(summary.questions) if summary.questions else []
    return "\n".join([*lines, *told, *notes(summary), *complaint_lines(summary.complaints)])


def notes(summary: EvaluationSummary) -> list[str]:
    """What a reader must know beside the numbers."""
    lines, failures = [], summary.failures
    if failures.images:
        causes = ", ".join(f"{cause} ({count})" for cause, count in failures.causes.items())
        lines.append(
            f"The judge failed on {failures.images} images, which are in no accuracy: {causes}."
        )
        lines.append(f"  {', '.join(failures.names[:5])}" + " ..." * (failures.images > 5))
    if summary.empty_share > 0 and summary.questions is None:  # who asks has no boxes
        lines.append(f"No object at all was found in {summary.empty_share:.1%} of the images.")
    if summary.sharpness is not None:
        lines.append(f"Sharpness (variance of the Laplacian): {summary.sharpness:.1f}")
    if summary.single_object_confidence is not None:
        lines.append(f"Confidence on single objects: {summary.single_object_confidence:.3f}")
    return lines


def comparison_table(result: Comparison, a: str, b: str) -> str:
    lines = [f"A: {a}", f"B: {b}", ""]
    beside = {} if result.sharpness is None else {"sharpness": result.sharpness}
    lines += compared({**result.tags, "overall": result.overall}, _WIDTH, beside)
    if result.prompts_dropped:
        lines.append(f"{result.prompts_dropped} prompts were left out: a judge failed on them.")
    if result.groups and result.questions is None:
        lines += ["", "accuracy by group", *compared(result.groups, 24)]
    return "\n".join([*lines, *(gain_lines(result.questions) if result.questions else ())])


def agreement_table(result: Agreement) -> str:
    lines = [f"A: {result.judge_a}", f"B: {result.judge_b}", ""]
    lines.append(f"{'':{_WIDTH}}{'images':>8}{'agree':>8}{'kappa':>8}{'only A':>8}{'only B':>8}")
    for name, row in [*result.tags.items(), ("overall", result.overall)]:
        lines.append(
            f"{name:{_WIDTH}}{row.images:>8}{row.agree:>8.3f}{row.kappa:>8.3f}"
            f"{row.only_a:>8}{row.only_b:>8}"
        )
    lines.append("only A, only B: images that only that judge calls correct")
    return "\n".join([*lines, *([_cost_sentence(result)] if result.cost else [])])


def _cost_sentence(result: Agreement) -> str:
    """ "B was sampled otherwise (cache: None to first-block=0.05): 3 of 400 verdicts ..."."""
    assert result.cost is not None
    settings, changed, all_ = result.cost.settings, result.cost.changed, result.overall
    how = ", ".join(f"{name}: {each.a} to {each.b}" for name, each in settings.items())
    return (
        f"B was sampled otherwise ({how}): {all_.only_a + all_.only_b} of {all_.images} verdicts "
        f"changed, {changed.value:.3f} {bounds(changed.interval, 3).strip()}, and "
        f"{all_.only_b - all_.only_a:+} images are correct"
    )


def paired_table(result: PairedMeans, a: str, b: str, unit: str) -> str:
    """Of a metric (more is better) or of ranks (less is better): the win rate says which way."""
    gap, wins = result.difference, result.win_rate
    lines = [
        f"A: {a}",
        f"B: {b}",
        "",
        f"{'':{_WIDTH}}{'A':>10}{'B':>10}{'B - A':>10}{'95 % interval':>22}",
        f"{unit:{_WIDTH}}{result.a:>10.4f}{result.b:>10.4f}{gap.value:>+10.4f}"
        f"{signed(gap.interval):>22}{_mark(gap.interval, result.prompts, 0)}",
        f"{'B wins':{_WIDTH}}{'':20}{wins.value:>10.3f}{bounds(wins.interval, 3):>22}"
        f"{_mark(wins.interval, result.prompts, 0.5)}",
        f"* the interval excludes chance (paired by prompt, {FEWEST} prompts or more; "
        f"{result.pairs} pairs of {result.prompts})",
        *reasons([gap]),
    ]
    if result.dropped:
        lines.append(f"{result.dropped} images were left out: only one run has their score.")
    return "\n".join(lines)


def metrics_table(result: MetricTable) -> str:
    wide = max(_WIDTH, *(len(run) + 2 for run in result.runs))
    lines = [f"{result.metric:{wide}}{'mean':>10}{'95 % interval':>22}{'images':>9}{'failed':>9}"]
    for run, row in result.runs.items():
        interval = bounds(row.mean.interval, 4)
        lines.append(
            f"{run:{wide}}{row.mean.value:>10.4f}{interval:>22}{row.images:>9}{row.failures:>9}"
        )
    lines += reasons([row.mean for row in result.runs.values()])
    if len(result.runs) > 1:
        lines += ["", *_wins(result.wins, wide)]
    return "\n".join(lines)


def means_table(results: Sequence[MetricTable]) -> str:
    """Runs by metrics: the means of several `metrics_table`s."""
    runs = list(results[0].runs)
    wide = max(_WIDTH, *(len(run) + 2 for run in runs))
    lines = [f"{'mean':{wide}}" + "".join(f"{result.metric:>16}" for result in results)]
    for run in runs:
        means = [result.runs[run].mean.value for result in results]
        lines.append(f"{run:{wide}}" + "".join(f"{mean:>16.4f}" for mean in means))
    return "\n".join(lines)


def rank_table(result: RankResult) -> str:
    wide = max(_WIDTH, *(len(run) + 2 for run in result.runs))
    lines = [f"{'':{wide}}{'rank 1':>8}{'95 % interval':>18}{'mean rank':>11}{'95 % interval':>18}"]
    for run, row in result.runs.items():
        first, mean = row.rank_1, row.mean_rank
        lines.append(
            f"{run:{wide}}{first.value:>8.3f}{bounds(first.interval, 3):>18}"
            f"{mean.value:>11.2f}{bounds(mean.interval, 2):>18}"
        )
    lines += reasons([row.mean_rank for row in result.runs.values()])
    lines += ["", *_wins(result.wins, wide), ""]
    raters = ", ".join(f"{name} {count}" for name, count in result.raters.items())
    lines.append(f"{result.answers} answers on {result.items} items ({raters})")
    agreement = result.agreement
    if result.ties:
        lines.append(f"{result.ties} of them have ties: a shared place counts as its mean rank")
    if agreement.kendall_tau is not None:
        lines.append(
            f"Raters agree with Kendall's W {agreement.kendall_w:.3f}, mean tau "
            f"{agreement.kendall_tau:.3f}, on {agreement.items} items ranked by several"
        )
    return "\n".join(lines)


def vbench_table(scores: VBenchScores) -> str:
    lines = [f"{'':22}{'raw':>7}{'normalised':>12}"]
    for name, row in scores.dimensions.items():
        lines.append(f"{name.replace('_', ' '):22}{row.raw:>7.4f}{row.normalised:>12.4f}")
    lines += [f"{name:35}{getattr(scores, name):.4f}" for name in COMPOSITES]
    return "\n".join(lines)


def vbench_comparison_table(result: VBenchComparison, a: str, b: str) -> str:
    composites = {name: row for name in COMPOSITES if (row := getattr(result, name))}
    rows = {name.replace("_", " "): row for name, row in result.dimensions.items()}
    lines = [f"A: {a}", f"B: {b}", "", *compared(rows | composites, 24)]
    lines.append(f"normalised; {result.pairs} scores of clips that both have")
    if result.dropped:
        lines.append(f"{result.dropped} scores were left out: only one evaluation has them.")
    if not composites:
        lines.append("No total: not all sixteen dimensions are there.")
    return "\n".join(lines)


def _wins(wins: Mapping[str, Mapping[str, float]], wide: int) -> list[str]:
    """How often the run of the row stands above that of the column."""
    lines = [f"{'wins over':{wide}}" + "".join(f"{run[-12:]:>14}" for run in wins)]
    for run, row in wins.items():
        shares = [f"{row[other]:.3f}" if other in row else "-" for other in wins]
        lines.append(f"{run:{wide}}" + "".join(f"{share:>14}" for share in shares))
    return lines


def _mark(interval: Interval | None, prompts: int, chance: float) -> str:
    return " *" if is_clear(interval, prompts, chance) else ""


def _line(name: str, accuracy: float, interval: Interval | None, images: int) -> str:
    return f"{name:{_WIDTH}}{accuracy:>10.3f}{bounds(interval, 3):>18}{images:>9}"

"""`sipo-geneval`: evaluate a model, or images made elsewhere; subcommands compare evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from sipo.backbones.model_defaults import sampler_layer
from sipo.common.cluster.runner_settings import check_runner
from sipo.common.command_words import command
from sipo.common.commands import Commands
from sipo.common.files.urls import is_url
from sipo.common.last_words import JSON, end, refuse_json_plan, typed_again
from sipo.common.options import DRY_RUN, Option, settings_options
from sipo.common.quiet_libraries import no_loading_bars
from sipo.geneval.comparison import settings as asked
from sipo.geneval.next_commands import after_comparison, after_evaluation
from sipo.geneval.refusals import refuse_impossible
from sipo.geneval.settings import EvalSettings
from sipo.recipes import recipe_option

if TYPE_CHECKING:
    from sipo.geneval.evaluate import EvaluationWork


def _settings(given: dict[str, object]) -> EvalSettings:
    """With --base a recipe's for its base, which go to another folder than those of its run."""
    context = click.get_current_context()

    def typed(name: str) -> bool:
        return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    if typed("base"):
        if typed("weights"):
            weights = str(given["weights"])
            raise ValueError(f"--base and --weights {weights!r} were both given; give one")
        given.pop("weights", None)
        if "out" in given and not typed("out"):
            given["out"] = f"{given['out']}-base"
    return EvalSettings.model_validate(given)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    example="sipo-geneval --weights runs/demo/round-1/train --out eval/after",
)
@recipe_option("geneval")
@settings_options(EvalSettings, _settings)
@click.option(
    "--base",
    cls=Option,
    group="Model",
    is_flag=True,
    help="Evaluate the model alone, though a recipe names --weights.",
    expose_value=False,
)
@DRY_RUN
@JSON
def main(settings: EvalSettings, dry_run: bool) -> None:
    """Sample a prompt suite, judge every image, report GenEval accuracies with 95% intervals.

    The folder has the official GenEval layout, results.jsonl the official rows; summary.json holds
    the numbers and all they depend on. The same command again continues where it stopped.
    """
    refuse_json_plan(dry_run)
    if not dry_run:
        refuse_impossible(settings)  # before the libraries that take seconds to import
    check_runner(settings)
    from sipo.geneval.evaluate import evaluate, plan
    from sipo.geneval.evaluate_on_ray import evaluate_on_ray
    from sipo.geneval.tables import evaluation_table

    sampler = sampler_layer(settings.backbone).under(settings.model_fields_set)
    told = "" if settings.images else sampler.told
    work = plan(settings) if dry_run or told else None  # what is wrong is said first
    if told:
        click.echo(told)
    if dry_run and work:
        end(None, _describe(settings, work), typed_again("--dry-run"))
        return
    no_loading_bars()
    summary = evaluate_on_ray(settings) if settings.runner == "ray" else evaluate(settings)
    written = f"Written to {settings.out}/summary.json and {settings.out}/results.jsonl"
    facts = summary.to_dict() | {"out": str(settings.out)}
    look = [] if is_url(settings.out) else [f"Look: sipo-geneval report {settings.out}"]
    end(facts, [evaluation_table(summary), written, *look], after_evaluation(settings))


@main.command("compare", example="sipo-geneval compare eval/base eval/sd15")
@settings_options(asked.CompareSettings)
def compare_command(settings: asked.CompareSettings) -> None:
    """The paired difference EVAL_B - EVAL_A, per tag and overall, with 95 % intervals.

    By accuracies, by the scores of a metric, by what people ranked, or by VBench's dimensions.
    """
    from sipo.common.records import Record
    from sipo.geneval import tables

    result: Record
    metric, ranks = settings.metric, settings.ranks
    ways: dict[str, object] = {f"--metric {metric!r}": metric, f"--ranks {str(ranks)!r}": ranks}
    ways["--vbench"] = settings.vbench
    if len(given := [way for way, value in ways.items() if value]) > 1:
        raise ValueError(f"{' and '.join(given)} were both given; give one")
    both = settings.eval_a, settings.eval_b
    a, b = map(str, both)
    after = command("sipo-geneval", "rank", *both, out="rank")
    if metric:
        from sipo.geneval.comparison.metric_scores import compare_metric

        result = scores = compare_metric(*both, metric)
        table = tables.paired_table(scores, a, b, metric)
    elif ranks:
        from sipo.geneval.comparison.ranking import compare_ranks

        result = means = compare_ranks(ranks, a, b)
        table = tables.paired_table(means, a, b, "mean rank")
    elif settings.vbench:
        from sipo.geneval.vbench.paired_clips import compare_vbench

        result = dimensions = compare_vbench(*both)
        table = tables.vbench_comparison_table(dimensions, a, b)
    else:
        from sipo.geneval.comparison.paired import compare

        result = tags = compare(*both)
        table = tables.comparison_table(tags, a, b)
        after = after_comparison(settings.eval_b, tags) or after
    end(result.to_dict(), table, after)


@main.command("report", example="sipo-geneval report eval/base eval/sd15 --out report.html")
@settings_options(asked.ReportSettings)
def report_command(settings: asked.ReportSettings) -> None:
    """A page of one or several evaluations that stands alone: tasks, complaints, pictures.

    Of one the best and worst prompts; of several what was gained, lost and still fails, the same
    prompt and seed by each under one slider, with the judge's boxes.
    """
    from sipo.geneval.looking.evaluation_page import write_page

    out = settings.out or settings.evals[0] / "report.html"
    page = write_page(settings.evals, out, settings.num_prompts)
    after = command("sipo-geneval", "compare", *settings.evals[:2]) if settings.evals[1:] else ""
    end(None, f"See {page}", after)


@main.command("metrics", example="sipo-geneval metrics eval/base eval/sd15 --metric pickscore")
@settings_options(asked.MetricsSettings)
def metrics_command(settings: asked.MetricsSettings) -> None:
    """Score every image of several runs with a judge: means, intervals, who wins how often.

    With several metrics each has its table, and all means stand in a last one; JSON is a list.
    """
    from sipo.geneval.comparison.metric_scores import score_runs, split_metrics
    from sipo.geneval.tables import means_table, metrics_table

    metrics, weights = split_metrics(settings.metric), settings.metric_weights
    if weights and (len(metrics) > 1 or metrics[0][1]):
        raise ValueError(
            f"--metric-weights {str(weights)!r} does not say of which metric; write "
            f"--metric {metrics[0][0]}={weights}"
        )
    results = []
    for name, own in metrics:
        file, rules = Path(own) if own else weights, settings.metric_settings
        results.append(score_runs(settings.evals, name, file, settings.batch_size, settings=rules))
        if len(metrics) > 1 and not settings.json_:
            click.echo(metrics_table(results[-1]) + "\n")
    rows = [result.to_dict() for result in results]
    table = means_table(results) if len(results) > 1 else metrics_table(results[0])
    some = [*settings.evals, "eval/another"][:2] if len(settings.evals) < 2 else settings.evals[:2]
    after = command("sipo-geneval", "compare", *some, metric=metrics[0][0])
    end(rows if len(rows) > 1 else rows[0], table, after)


@main.command("agree", example="sipo-geneval agree eval/base eval/base-by-another --page odd.html")
@settings_options(asked.AgreeSettings)
def agree_command(settings: asked.AgreeSettings) -> None:
    """How far two judges agree on the same images, per tag, and where they do not.

    Or what faster sampling costs: where the two evaluations differ in --dtype, --compile, --cache,
    --fp8 or another setting of the sampler, how many verdicts that changed, with its interval.
    """
    from sipo.geneval.comparison.agreement import agreement
    from sipo.geneval.looking.agreement_page import write_agreement
    from sipo.geneval.tables import agreement_table

    a, b, page = settings.eval_a, settings.eval_b, settings.page
    result = agreement(a, b)
    lines = [agreement_table(result)]
    if page:
        count = write_agreement(result, a, b, settings.images, page, settings.most)
        lines.append(f"{count} disagreements on {page}")
    compared = command("sipo-geneval", "compare", a, b)
    end(result.to_dict(), lines, compared if page else typed_again(page="agree.html"))


@main.command("rank", example="sipo-geneval rank eval/base eval/sd15 --rater anna --out rank")
@settings_options(asked.RankSettings)
def rank_command(settings: asked.RankSettings) -> None:
    """Let a person order the outputs of several runs, blinded and shuffled, on a local page."""
    if settings.results is None:
        from sipo.geneval.comparison.rank_session import RankSession
        from sipo.pages.server import serve

        shown = settings.images_per_prompt, settings.num_prompts
        serve(
            RankSession(settings.evals, settings.out, settings.rater, *shown),
            settings.port,
            click.echo,
        )
        end(None, "", command("sipo-geneval", "rank", results=settings.out))
        return
    from sipo.geneval.comparison.ranking import rank_results
    from sipo.geneval.tables import rank_table

    if settings.evals:
        raise ValueError(f"--results reads the study alone; leave {str(settings.evals[0])!r} out")
    result = rank_results(settings.results)
    two = [*result.runs][:2]
    end(
        result.to_dict(),
        rank_table(result),
        command("sipo-geneval", "compare", *two, ranks=settings.results),
    )


@main.command("card", example="sipo-geneval card eval/base eval/sd15 --ranks rank > card.md")
@settings_options(asked.CardSettings)
def card_command(settings: asked.CardSettings) -> None:
    """A report card: one Markdown table a model of what its evaluations' folders hold.

    Alignment by accuracies or by a suite's answers, quality by the scores that `metrics` kept, and
    with --ranks what people said, and how far the metrics agree with them.
    """
    from sipo.geneval.comparison.card import card_markdown, report_card

    card = report_card(settings.evals, settings.ranks)
    end(card.to_dict(), card_markdown(card))


@main.command("vbench", example="sipo-geneval vbench vbench/evaluation_results")
@settings_options(asked.VbenchSettings)
def vbench_command(settings: asked.VbenchSettings) -> None:
    """Total, quality and semantic score of VBench's RESULTS.

    The table has every dimension; JSON has the three scores alone.
    """
    from sipo.geneval.tables import vbench_table
    from sipo.geneval.vbench.scores import vbench_scores

    scores = vbench_scores(settings.results)
    three = scores.model_dump(exclude={"dimensions"})
    words = "sipo-geneval", "compare", settings.results[0], "results/another"
    end(three, vbench_table(scores), command(*words, vbench=True))


@main.command(
    "vbench-export",
    example="sipo-geneval vbench-export eval/wan --prompts VBench_full_info.json --out clips",
)
@settings_options(asked.VbenchExportSettings)
def vbench_export_command(settings: asked.VbenchExportSettings) -> None:
    """Link the clips of EVAL under the names that VBench looks for, {prompt}-{0..4}.mp4."""
    from sipo.geneval.vbench.export_clips import export_clips

    count = export_clips(settings.evaluation, settings.prompts, settings.out)
    words = "vbench", "evaluate", "--videos_path", settings.out
    end(
        None,
        f"{count} clips in {settings.out}",
        command(*words, "--dimension", "subject_consistency"),
    )


def _describe(settings: EvalSettings, work: EvaluationWork) -> str:
    from sipo.geneval.evaluate import dtype_of

    per_tag = ", ".join(f"{tag} {count}" for tag, count in work.tags.items())
    if settings.images:
        images = f"{work.images_there} in {settings.images}: {work.counts}"
    else:
        total = len(work.prompts) * settings.images_per_prompt
        images = f"{total} of {settings.backbone} in {dtype_of(settings)}"
        images += f" with {settings.weights}" if settings.weights else ""
        images += f"; {work.images_there} of them are there already"
    return "\n".join(
        [
            f"Prompts  {len(work.prompts)} ({per_tag})",
            f"Images   {images}",
            f"Judge    {settings.judge}",
            f"Out      {settings.out}",
            f"Command  {settings.command()}",
        ]
    )


if __name__ == "__main__":
    main()

"""`sipo-geneval`: evaluate a model, or images made elsewhere; subcommands compare evaluations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sipo.common.errors import user_errors
from sipo.common.options import PATH, PROMPTS_HELP, SEED, TEXT, FiniteRange, joined
from sipo.common.quiet import no_loading_bars
from sipo.recipes import recipe_option


@click.group(invoke_without_command=True, context_settings={"max_content_width": 100})
@recipe_option("geneval")
@click.option(
    "--backbone",
    "--pretrained_model_name_or_path",
    type=TEXT,
    help="Embedded model, diffusers folder or hub id.  [default: mini-sd]",
)
@click.option(
    "--weights", type=PATH, help="A run of sipo-train, a LoRA's .safetensors file, or its folder."
)
@click.option("--base", is_flag=True, help="The backbone alone, though a recipe names --weights.")
@click.option(
    "--suite",
    type=TEXT,
    help="geneval, mini, geneval-train or mini-train.  [default: geneval; mini with mini-sd]",
)
@click.option("--prompts", type=PATH, help=PROMPTS_HELP)
@click.option(
    "--judge",
    type=TEXT,
    multiple=True,
    callback=joined,
    help="Who looks; several are one.  [default: mask2former; mini-evaluator with mini-sd]",
)
@click.option("--judge-weights", type=PATH, help="Its weights instead of the embedded ones.")
@click.option("--judge-settings", type=PATH, help="JSON by judge: thresholds, colours, ...")
@click.option("--judged-frames", type=int, help="Of a clip.  [default: 8]")
@click.option(
    "--frame-score", type=TEXT, help="A clip's of its frames': mean or worst.  [default: mean]"
)
@click.option("--images-per-prompt", type=int, help="[default: 4; with --images what is there]")
@click.option("--seed", type=SEED, help="[default: 0]")
@click.option("--steps", type=int, help="Sampling steps.  [default: the checkpoint's]")
@click.option("--guidance", type=FiniteRange(0), help="[default: the checkpoint's]")
@click.option("--height", type=int, help="Pixels.  [default: the checkpoint's]")
@click.option("--width", type=int, help="Pixels.  [default: the checkpoint's]")
@click.option("--frames", type=int, help="Of a clip.  [default: the checkpoint's]")
@click.option("--batch-size", type=int, help="[default: 32]")
@click.option("--dtype", type=TEXT, help="float32, bfloat16 or float16.  [default: float32]")
@click.option(
    "--quantize",
    type=TEXT,
    help="The denoiser: no, nf4 (bitsandbytes), int8 (torchao).  [default: no]",
)
@click.option("--device", type=TEXT, help="[default: cuda where there is one, else cpu]")
@click.option("--offload", is_flag=True, default=None, help="Models wait on the CPU until needed.")
@click.option("--workers", type=int, help="Sampling processes on a CPU.  [default: one a core]")
@click.option(
    "--images",
    type=PATH,
    help="Score these, sample nothing: a folder in GenEval's layout, or a CSV or JSONL with image "
    "and prompt.",
)
@click.option("--out", "--output_dir", "out", type=PATH, help="[default: eval]")
@click.option("--dry-run", is_flag=True, help="Say what would be done, load no model.")
@user_errors
def main(dry_run: bool, base: bool, **options: Any) -> None:
    """Sample a prompt suite, judge every image, report GenEval accuracies with 95% intervals.

    The folder has the official GenEval layout, results.jsonl the official rows; summary.json holds
    the numbers and all they depend on. The same command again continues where it stopped.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if subcommand := click.get_current_context().invoked_subcommand:
        if given or dry_run or base:
            name = next(iter(given), "base" if base else "dry_run").replace("_", "-")
            raise ValueError(f"--{name} has no effect on {subcommand!r}; leave it out")
        return
    from sipo.geneval.evaluate import evaluate, plan
    from sipo.geneval.settings import EvalSettings
    from sipo.geneval.tables import evaluation_table

    settings = EvalSettings(**(_without_weights(given) if base else given))
    if dry_run:
        click.echo(_describe(settings, plan(settings)))
        return
    no_loading_bars()
    summary = evaluate(settings)
    click.echo(evaluation_table(summary))
    click.echo(f"Written to {settings.out}/summary.json and {settings.out}/results.jsonl")


def _without_weights(given: dict[str, Any]) -> dict[str, Any]:
    """A recipe's settings for its base, which go to another folder than those of its run."""
    context = click.get_current_context()

    def typed(name: str) -> bool:
        return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    if typed("weights"):
        raise ValueError(
            f"--base and --weights {str(given['weights'])!r} were both given; give one"
        )
    own = {name: value for name, value in given.items() if name != "weights"}
    if "out" in own and not typed("out"):
        own["out"] = own["out"].with_name(own["out"].name + "-base")
    return own


@main.command("compare")
@click.argument("eval_a", type=PATH)
@click.argument("eval_b", type=PATH)
@click.option(
    "--metric", type=TEXT, help="Compare these scores of `metrics` instead of accuracies."
)
@click.option("--ranks", type=PATH, help="Compare by the people of this study of `rank`.")
@click.option("--vbench", is_flag=True, help="EVAL_A and EVAL_B are VBench's results.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@user_errors
def compare_command(
    eval_a: Path,
    eval_b: Path,
    metric: str | None,
    ranks: Path | None,
    vbench: bool,
    as_json: bool,
) -> None:
    """The paired difference EVAL_B - EVAL_A, per tag and overall, with 95 % intervals.

    By accuracies, by the scores of a metric, by what people ranked, or by VBench's dimensions.
    """
    from sipo.common.records import Record
    from sipo.geneval import tables

    result: Record
    ways = {f"--metric {metric!r}": metric, f"--ranks {str(ranks)!r}": ranks, "--vbench": vbench}
    if len(asked := [way for way, given in ways.items() if given]) > 1:
        raise ValueError(f"{' and '.join(asked)} were both given; give one")
    a, b = str(eval_a), str(eval_b)
    if metric:
        from sipo.geneval.comparison.metric_scores import compare_metric

        result = scores = compare_metric(eval_a, eval_b, metric)
        table = tables.paired_table(scores, a, b, metric)
    elif ranks:
        from sipo.geneval.comparison.ranking import compare_ranks

        result = means = compare_ranks(ranks, a, b)
        table = tables.paired_table(means, a, b, "mean rank")
    elif vbench:
        from sipo.geneval.vbench.paired_clips import compare_vbench

        result = dimensions = compare_vbench(eval_a, eval_b)
        table = tables.vbench_comparison_table(dimensions, a, b)
    else:
        from sipo.geneval.comparison.paired import compare

        result = tags = compare(eval_a, eval_b)
        table = tables.comparison_table(tags, a, b)
    click.echo(result.to_json() if as_json else table)


@main.command("metrics")
@click.argument("evals", nargs=-1, required=True, type=PATH)
@click.option(
    "--metric",
    type=TEXT,
    multiple=True,
    required=True,
    callback=joined,
    help="A judge, or judge=weights: pickscore, hpsv2.1, image-reward, ...; several are a table.",
)
@click.option("--metric-weights", type=PATH, help="Of the one metric, instead of the default's.")
@click.option("--metric-settings", type=PATH, help="JSON by judge: processor, tokenizer, ...")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Images.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@user_errors
def metrics_command(
    evals: tuple[Path, ...],
    metric: str,
    metric_weights: Path | None,
    metric_settings: Path | None,
    batch_size: int,
    as_json: bool,
) -> None:
    """Score every image of several runs with a judge: means, intervals, who wins how often.

    With several metrics each has its table, and all means stand in a last one; JSON is a list.
    """
    from sipo.geneval.comparison.metric_scores import score_runs, split_metrics
    from sipo.geneval.tables import means_table, metrics_table

    asked = split_metrics(metric)
    if metric_weights and (len(asked) > 1 or asked[0][1]):
        raise ValueError(
            f"--metric-weights {str(metric_weights)!r} does not say of which metric; write "
            f"--metric {asked[0][0]}={metric_weights}"
        )
    results = []
    for name, weights in asked:
        own = Path(weights) if weights else metric_weights
        results.append(score_runs(evals, name, own, batch_size, settings=metric_settings))
        if not as_json:
            click.echo(metrics_table(results[-1]) + "\n" * (len(asked) > 1))
    if as_json:
        tables = [result.to_dict() for result in results]
        click.echo(json.dumps(tables if len(tables) > 1 else tables[0], indent=2))
    elif len(results) > 1:
        click.echo(means_table(results))


@main.command("agree")
@click.argument("eval_a", type=PATH)
@click.argument("eval_b", type=PATH)
@click.option("--images", type=PATH, help="Where the images lie.  [default: EVAL_A]")
@click.option("--page", type=PATH, help="Write the disagreements to this HTML file.")
@click.option("--most", default=100, show_default=True, help="Images on that page.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@user_errors
def agree_command(
    eval_a: Path, eval_b: Path, images: Path | None, page: Path | None, most: int, as_json: bool
) -> None:
    """How far two judges agree on the same images, per tag, and where they do not."""
    from sipo.geneval.comparison.agreement import agreement, write_page
    from sipo.geneval.tables import agreement_table

    result = agreement(eval_a, eval_b)
    click.echo(result.to_json() if as_json else agreement_table(result))
    if page:
        count = write_page(result, images or eval_a, page, str(eval_a), str(eval_b), most)
        click.echo(f"{count} disagreements on {page}", err=as_json)


@main.command("rank")
@click.argument("evals", nargs=-1, type=PATH)
@click.option("--out", type=PATH, default=Path("rank"), show_default=True, help="Of the study.")
@click.option(
    "--rater", type=TEXT, default="rater", show_default=True, help="Who ranks; each a file."
)
@click.option(
    "--images-per-prompt",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Of each run, to be ranked.",
)
@click.option("--num-prompts", type=click.IntRange(1), help="Drawn of the runs'.  [default: all]")
@click.option("--port", default=0, help="[default: a free one]")
@click.option("--results", type=PATH, help="Evaluate this study's answers, serve nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --results: JSON instead of a table.")
@user_errors
def rank_command(
    evals: tuple[Path, ...],
    out: Path,
    rater: str,
    images_per_prompt: int,
    num_prompts: int | None,
    port: int,
    results: Path | None,
    as_json: bool,
) -> None:
    """Let a person order the outputs of several runs, blinded and shuffled, on a local page."""
    if results is None:
        from sipo.geneval.comparison.rank_session import RankSession
        from sipo.pages.server import serve

        session = RankSession(evals, out, rater, images_per_prompt, num_prompts)
        serve(session, port, click.echo)
        click.echo(f"Results: sipo-geneval rank --results {out}")
        return
    from sipo.geneval.comparison.ranking import rank_results
    from sipo.geneval.tables import rank_table

    if evals:
        raise ValueError(f"--results reads the study alone; leave {str(evals[0])!r} out")
    result = rank_results(results)
    click.echo(result.to_json() if as_json else rank_table(result))


@main.command("vbench")
@click.argument("results", nargs=-1, required=True, type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@user_errors
def vbench_command(results: tuple[Path, ...], as_json: bool) -> None:
    """Total, quality and semantic score of VBench's RESULTS: *_eval_results.json or their folder.

    The table has every dimension; JSON has the three scores alone.
    """
    from sipo.geneval.tables import vbench_table
    from sipo.geneval.vbench.scores import vbench_scores

    scores = vbench_scores(results)
    three = scores.model_dump(exclude={"dimensions"})
    click.echo(json.dumps(three, indent=2) if as_json else vbench_table(scores))


@main.command("vbench-export")
@click.argument("evaluation", type=PATH, metavar="EVAL")
@click.option("--prompts", type=PATH, required=True, help="VBench_full_info.json, or a .txt.")
@click.option("--out", type=PATH, required=True, help="Folder for {prompt}-{0..4}.mp4.")
@user_errors
def vbench_export_command(evaluation: Path, prompts: Path, out: Path) -> None:
    """Link the clips of EVAL under the names that VBench looks for."""
    from sipo.geneval.vbench.export_clips import export_clips

    click.echo(f"{export_clips(evaluation, prompts, out)} clips in {out}")


def _describe(settings: Any, work: Any) -> str:
    per_tag = ", ".join(f"{tag} {count}" for tag, count in work.tags.items())
    if settings.images:
        images = f"{work.images_there} in {settings.images}: {work.counts}"
    else:
        total = len(work.prompts) * settings.images_per_prompt
        images = f"{total} of {settings.backbone}"
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

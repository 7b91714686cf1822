"""`sipo-loop`: rounds of generate, train and evaluate, with a report at the end."""

from __future__ import annotations

from typing import Any

import click

from sipo.common.errors import user_errors
from sipo.common.options import PATH, POSITIVE, SEED, TEXT, FiniteRange, joined
from sipo.common.quiet import no_loading_bars

_PAIR = "NAME=VALUE"
_EXAMPLES = {
    "generate": "batch_size=4",
    "train": "lr_scheduler=cosine",
    "evaluate": "dtype=bfloat16",
}


@click.command(context_settings={"max_content_width": 100})
@click.option("--rounds", type=int, help="Rounds after the base.  [default: 1]")
@click.option("--out", "--output_dir", "out", type=PATH, help="[default: runs/loop]")
@click.option(
    "--backbone",
    "--pretrained_model_name_or_path",
    type=TEXT,
    help="Embedded model, diffusers folder or hub id.  [default: mini-sd]",
)
@click.option("--seed", type=SEED, help="Of everything.  [default: 0]")
@click.option("--steps", type=int, help="Sampling steps.  [default: the checkpoint's]")
@click.option("--guidance", type=FiniteRange(0), help="[default: the checkpoint's]")
@click.option("--height", type=int, help="Pixels, of all images.  [default: the checkpoint's]")
@click.option("--width", type=int, help="Pixels, of all images.  [default: the checkpoint's]")
@click.option("--frames", type=int, help="Of clips.  [default: the checkpoint's]")
@click.option(
    "--suite",
    type=TEXT,
    help="Prompts to learn from.  [default: geneval-train; mini-train with mini-sd]",
)
@click.option("--prompts", type=PATH, help="GenEval JSONL or .txt instead of that suite.")
@click.option("--num-prompts", type=int, help="Of them, fresh ones each round.")
@click.option("--candidates", type=int, help="Images per prompt to choose from.")
@click.option("--policy", type=TEXT, help="Which candidates become pairs, see sipo-data generate.")
@click.option("--margin", type=FiniteRange(0, 1), help="Least difference of scores in a pair.")
@click.option(
    "--judge",
    type=TEXT,
    multiple=True,
    callback=joined,
    help="Who chooses winners; several are one.  [default: yolo-world]",
)
@click.option("--judge-weights", type=PATH, help="The judge's; mini-sd's are embedded.")
@click.option("--judge-settings", type=PATH, help="JSON by judge, the evaluator's included.")
@click.option("--objective", type=TEXT, help="Of sipo-train, on pairs.  [default: sipo]")
@click.option("--max_train_steps", "--max-train-steps", type=int, help="A round.")
@click.option("--train_batch_size", "--train-batch-size", type=int, help="Pairs per step.")
@click.option(
    "--learning_rate",
    "--learning-rate",
    type=POSITIVE,
    help="[default: 3e-3 with mini-sd]",
)
@click.option(
    "--beta_dpo",
    "--beta-dpo",
    type=POSITIVE,
    help="[default: sipo's 100 with mini-sd]",
)
@click.option("--rank", type=int, help="Of the LoRA.  [default: 32 with mini-sd]")
@click.option(
    "--reference",
    type=click.Choice(["base", "previous"]),
    help="Rewards are against the base or the round before.  [default: base]",
)
@click.option("--generate", multiple=True, metavar=_PAIR, help="Any other of sipo-data generate.")
@click.option(
    "--train",
    multiple=True,
    metavar=_PAIR,
    help="Any other of sipo-train.  [default: with mini-sd winner_anchor=1 "
    "train_timesteps=400:1000 lr_scheduler=cosine]",
)
@click.option("--evaluate", multiple=True, metavar=_PAIR, help="Any other of sipo-geneval.")
@click.option(
    "--eval-suite", type=TEXT, help="Prompts held out.  [default: geneval; mini with mini-sd]"
)
@click.option("--eval-prompts", type=PATH, help="GenEval JSONL or .txt instead of that suite.")
@click.option("--images-per-prompt", type=int, help="In evaluations.  [default: 2]")
@click.option(
    "--evaluator",
    type=TEXT,
    multiple=True,
    callback=joined,
    help="Independent of the judge.  [default: mask2former; mini-evaluator with mini-sd]",
)
@click.option("--evaluator-weights", type=PATH, help="The evaluator's.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, load no model.")
@user_errors
def main(dry_run: bool, **options: Any) -> None:
    """Round 0 evaluates the base; every round then samples pairs from the policy so far, trains on
    them, and evaluates on held-out prompts with a judge that training has not seen.

    The same command again continues where it stopped; a higher --rounds goes on from there.
    """
    from sipo.loop.settings import LoopSettings

    given = {name: value for name, value in options.items() if value is not None}
    for stage in _EXAMPLES:
        given[stage] = dict(_name_and_value(stage, text) for text in given[stage])
    settings = LoopSettings(**given)
    if dry_run:
        from sipo.loop.stage_settings import check

        check(settings)
        click.echo(_describe(settings))
        return
    no_loading_bars()
    from sipo.loop.rounds import loop
    from sipo.loop.tables import rounds_table, training_warnings

    result = loop(settings)
    click.echo(rounds_table(result))
    for warning in training_warnings(result.rounds):
        click.echo(f"Warning: training, {warning}")
    if result.warning:
        click.echo(f"Warning: {result.warning}")
    click.echo(f"Report: {settings.out}/report.html")


def _name_and_value(stage: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--{stage} {text!r} is not {_PAIR}, such as {_EXAMPLES[stage]}")
    return name.strip().lstrip("-").replace("-", "_"), value.strip()


def _describe(settings: Any) -> str:
    prompts = settings.prompts or settings.suite
    size = {name: getattr(settings, name) for name in ("height", "width", "frames")}
    lines = [
        f"Base       {settings.backbone}, evaluated by {settings.evaluator}",
        f"Each of {settings.rounds} round{'s' * (settings.rounds > 1)}",
        f"  generate {settings.num_prompts} fresh prompts of {prompts} x {settings.candidates} "
        f"candidates, judged by {settings.judge}",
        f"  train    {settings.max_train_steps} steps x {settings.train_batch_size} pairs, "
        f"{settings.objective}, against the {settings.reference}",
        f"  evaluate {settings.eval_prompts or settings.eval_suite} x "
        f"{settings.images_per_prompt} images",
        *(f"  {name:8} {value}" for name, value in size.items() if value),
        f"Out        {settings.out}",
    ]
    for number in range(settings.rounds + 1):
        there = (settings.out / f"round-{number}" / "eval" / "summary.json").exists()
        lines.append(f"  round {number}: {'done' if there else 'to do'}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

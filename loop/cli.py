"""`sipo-loop`: rounds of generate, train and evaluate, with a report at the end."""

from __future__ import annotations

import click

from sipo.common.commands import Command
from sipo.common.options import DRY_RUN, settings_options
from sipo.common.quiet_libraries import no_loading_bars
from sipo.loop.settings import LoopSettings

_EXAMPLES = {
    "generate": "batch_size=4",
    "train": "lr_scheduler=cosine",
    "evaluate": "dtype=bfloat16",
}


def _settings(given: dict[str, object]) -> LoopSettings:
    for stage in _EXAMPLES:
        words = given.get(stage)
        if isinstance(words, tuple):
            given[stage] = dict(_name_and_value(stage, str(word)) for word in words)
    return LoopSettings.model_validate(given)


def _name_and_value(stage: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--{stage} {text!r} is not NAME=VALUE, such as {_EXAMPLES[stage]}")
    return name.strip().lstrip("-").replace("-", "_"), value.strip()


@click.command(cls=Command, example="sipo-loop --rounds 2 --out runs/loop")
@settings_options(LoopSettings, _settings)
@DRY_RUN
def main(settings: LoopSettings, dry_run: bool) -> None:
    """Round 0 evaluates the base; every round then samples pairs from the policy so far, trains on
    them, and evaluates on held-out prompts with a judge that training has not seen.

    The same command again continues where it stopped; a higher --rounds goes on from there.
    """
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


def _describe(settings: LoopSettings) -> str:
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

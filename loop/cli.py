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
_BEGINNINGS = {
    "base": "a new LoRA on the pairs of all rounds",
    "previous": "the policy before",
    "best": "the best policy so far",
}
_REFERENCES = {"base": "the base", "previous": "what it begins from", "moving": "its own average"}


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

    A round that this shows to be below the best one is trained again at half the learning rate,
    which stays, then skipped. The loop ends with its best round, and tests it on prompts nobody has
    looked at.

    What is not given is as the model's defaults.json says, where it has one, else as below. The
    same command again continues where it stopped; a higher --rounds goes on from there.
    """
    if dry_run:
        from sipo.loop.refusals import check

        check(settings)
        click.echo(_describe(settings))
        return
    no_loading_bars()
    from sipo.loop.report import headline, sentence_of_test
    from sipo.loop.rounds import loop
    from sipo.loop.tables import rounds_table, table_of_test, training_warnings

    result = loop(settings)
    click.echo(rounds_table(result))
    if result.test:
        click.echo(f"\n{table_of_test(result)}\n")
    click.echo(f"{headline(result)} {sentence_of_test(result)}".strip())
    for warning in training_warnings(result.attempts):
        click.echo(f"Warning: training, {warning}")
    for sentence in filter(None, (result.warning, result.quality_warning)):
        click.echo(f"Warning: {sentence}")
    if result.best_weights:
        click.echo(f"Policy: {settings.out}/best, for --weights and load_lora_weights")
    click.echo(f"Report: {settings.out}/report.html")


def _describe(settings: LoopSettings) -> str:
    from sipo.loop.cost import cost_lines
    from sipo.loop.refusals import no_test
    from sipo.loop.stage_settings import turns_of

    size = {name: getattr(settings, name) for name in ("height", "width", "frames")}
    again = "coming again with new seeds" if settings.reuse_prompts else "each used once"
    reason = no_test(settings)
    tested = "every accepted round" if settings.test_every_round else "the best round"
    times = f", {turns_of(settings)} times" if settings.refresh else ""
    goes_on = settings.start != "base" and settings.later_rate != 1
    slower = f" at {settings.later_rate:g} of the first round's learning rate" * goes_on
    old = f", {settings.replay:.0%} of the pairs of earlier rounds" if settings.replay else ""
    end = f"; {settings.patience} rounds without a clear gain end it" * bool(settings.patience)
    lines = [
        f"Base       {settings.backbone}, evaluated by {settings.evaluator}",
        f"Each of {settings.rounds} round{'s' * (settings.rounds > 1)}",
        f"  generate {settings.num_prompts} prompts of {settings.prompts or settings.suite} "
        f"({again}) x {settings.candidates} candidates{times}, judged by {settings.judge}",
        f"  train    {settings.max_train_steps} steps x {settings.train_batch_size} pairs, "
        f"{settings.objective}, from {_BEGINNINGS[settings.start]}{slower}, against "
        f"{_REFERENCES[settings.reference]}{old}",
        f"  evaluate {settings.eval_prompts or settings.eval_suite} x "
        f"{settings.images_per_prompt} images",
        "  accept   unless clearly below the best round, or below it by more than "
        f"{settings.tolerance:g}; else train again at half the learning rate, then skip{end}",
        *(f"  {name:8} {value}" for name, value in size.items() if value),
        f"Test       none: {reason}"
        if reason
        else f"Test       {settings.test_prompts or settings.test_suite}, the base and {tested}",
        *cost_lines(settings),
        f"Out        {settings.out}",
    ]
    for number in range(settings.rounds + 1):
        there = (settings.out / f"round-{number}" / "eval" / "summary.json").exists()
        lines.append(f"  round {number}: {'done' if there else 'to do'}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

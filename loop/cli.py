"""`sipo-loop`: rounds of generate, train and evaluate, with a report; `report` alone, or live."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from sipo.common.commands import Commands
from sipo.common.files.urls import is_url
from sipo.common.last_words import JSON, end, refuse_json_plan, typed_again
from sipo.common.options import DRY_RUN, Option, settings_options
from sipo.common.quiet_libraries import no_loading_bars
from sipo.common.settings import ARGUMENTS, StrictModel, setting
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


@click.group(
    cls=Commands, invoke_without_command=True, example="sipo-loop --rounds 2 --out runs/loop"
)
@settings_options(LoopSettings, _settings)
@click.option(
    "--live",
    cls=Option,
    group="Output",
    is_flag=True,
    help="Serve the report on this machine while the loop runs; it refreshes itself.",
)
@DRY_RUN
@JSON
def main(settings: LoopSettings, live: bool, dry_run: bool) -> None:
    """Round 0 evaluates the base; every round then samples pairs from the policy so far, trains on
    them, and evaluates on held-out prompts with a judge that training has not seen.

    A round that this shows to be below the best one is trained again at half the learning rate,
    which stays, then skipped. The loop ends with its best round, and tests it on prompts nobody has
    looked at.

    What is not given is as the model's defaults.json says, where it has one, else as below. The
    same command again continues where it stopped; a higher --rounds goes on from there.
    """
    from sipo.loop.refusals import check, refuse_impossible

    refuse_json_plan(dry_run)
    if dry_run:
        check(settings)
        end(None, _describe(settings), typed_again("--dry-run"))
        return
    if live and is_url(settings.out):
        raise ValueError(
            f"--live serves a folder of this machine, and --out {settings.out} is a URL; leave one "
            "of the two out"
        )
    refuse_impossible(settings)  # before the libraries that take seconds to import
    no_loading_bars()
    from sipo.loop.rounds import loop
    from sipo.loop.tables import rounds_table, table_of_test, training_warnings
    from sipo.loop.words import headline, sentence_of_test

    with ExitStack() as beside:
        if live:
            from sipo.loop.live import LoopPage
            from sipo.pages.live_server import served

            server = beside.enter_context(served(LoopPage(settings.out)))
            click.echo(f"Open {server.url}", err=True)
        result = loop(settings)
    lines = [rounds_table(result)]
    if result.test:
        lines.append(f"\n{table_of_test(result)}\n")
    lines.append(f"{headline(result)} {sentence_of_test(result)}".strip())
    lines += [f"Warning: training, {warning}" for warning in training_warnings(result)]
    said = filter(None, (result.warning, result.quality_warning))
    lines += [f"Warning: {sentence}" for sentence in said]
    if result.best_weights:
        lines.append(f"Policy: {settings.out}/best, for --weights and load_lora_weights")
    page = f"{settings.out}/report.html"
    facts = result.to_dict() | {"out": str(settings.out), "report": page}
    end(facts, [*lines, f"Report: {page}"], typed_again(rounds=settings.rounds + 1))


class ReportSettings(StrictModel):
    loop: Path = setting(ARGUMENTS, "Folder of a loop, running or not.", ..., metavar="LOOP")
    live: bool = setting(
        "Output", "Serve the page on this machine instead; it refreshes itself.", False
    )
    port: int = setting("Machine", "Port of the page.", 0, without="a free one")


@main.command("report", example="sipo-loop report runs/loop --live")
@settings_options(ReportSettings)
def report_command(settings: ReportSettings) -> None:
    """Write a loop's report.html anew, or serve it while the loop runs elsewhere.

    With --live the page says what the loop does now, and loads itself when a round is done.
    """
    if not settings.live:
        from sipo.loop.report import read_result, write_report

        end(None, f"See {write_report(settings.loop, read_result(settings.loop))}")
        return
    from sipo.loop.live import LoopPage
    from sipo.pages.live_server import LiveServer

    if not settings.loop.is_dir():
        raise ValueError(f"{str(settings.loop)!r} is not a folder; give that of a sipo-loop")
    with LiveServer(LoopPage(settings.loop), settings.port) as server:
        click.echo(f"Open {server.url}")
        click.echo("Stop with Ctrl-C; the loop goes on.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("")


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

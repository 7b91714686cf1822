"""`sipo-train`: options from `TrainSettings`, torch loaded only once there is work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sipo.backbones.loading.names import check_backbone
from sipo.backbones.loading.trained_weights import check_weights
from sipo.backbones.model_defaults import Completed
from sipo.common.commands import Commands
from sipo.common.files.yaml_files import YamlMap
from sipo.common.options import DRY_RUN, Argument, Value, settings_options
from sipo.common.quiet_libraries import no_loading_bars
from sipo.common.settings import ARGUMENTS, StrictModel, setting
from sipo.recipes import recipe_option
from sipo.train.settings import SettingError, TrainSettings, make_settings, read_yaml
from sipo.train.train_defaults import complete

if TYPE_CHECKING:
    from accelerate import Accelerator

    from sipo.backbones.base import Backbone
    from sipo.train.checkpoint_files import RunSummary

Given = dict[str, object]
CONFIG = click.argument(
    "config",
    cls=Argument,
    type=Value(place=True),
    required=False,
    metavar="[FILE.yaml]",
    help="Settings file; what the command line says goes before it.",
)
OPTIONS = settings_options(TrainSettings, Given, "_")


@click.group(
    cls=Commands,
    invoke_without_command=True,
    example="sipo-train --data shards --out runs/sd15 --gradient_checkpointing",
)
@CONFIG
@recipe_option("train")
@OPTIONS
@DRY_RUN
def main(given: Given, config: str | None, dry_run: bool) -> None:
    """Train a policy on preference pairs: LoRA or whole model, SIPO or its relatives.

    What is not given is as the model's defaults.json says, where it has one, else as below. The
    same command again goes on where it stopped. Options may be written with '-' or '_'.
    """
    completed = _resolve(config, given)
    settings = completed.settings
    if dry_run:
        from sipo.train.distributed.accelerate_env import as_launched
        from sipo.train.objective.registry import find_objective
        from sipo.train.run_length import describe, make_plan

        settings = as_launched(settings)
        pairs, backbone, accelerator = _open(settings)
        plan = make_plan(settings, len(pairs), accelerator.num_processes)
        facts = describe(settings, backbone, plan)
        if find_objective(settings.objective).data == "candidates":
            facts["tied_prompts"] = pairs.tied
        told = {"model_defaults": completed.told} if completed.told else {}
        click.echo(json.dumps(facts | told, indent=1))
        return
    if completed.told:
        click.echo(completed.told)
    if settings.workers == 1:  # several processes import for themselves
        no_loading_bars()
    from sipo.train.distributed.cpu_launcher import train_on_cores

    try:
        summary = train_on_cores(settings)
    except FloatingPointError as error:
        raise click.ClickException(str(error)) from error
    for warning in summary.warnings:
        click.echo(f"warning, {warning}", err=True)
    click.echo(_last_word(summary))


@main.command(example="sipo-train calibrate --data shards --out calibration")
@CONFIG
@OPTIONS
def calibrate(given: Given, config: str | None) -> None:
    """Measure error and w(t) by timestep; propose --num_chain_steps.

    Writes weights.json and weights.png to --out, prints the table, and trains nothing.
    """
    from sipo.train.distributed.accelerate_env import as_launched
    from sipo.train.monitor.weight_calibration import as_text, measure_curve, write_curve
    from sipo.train.objective.registry import find_objective

    settings = as_launched(_resolve(config, given).settings)
    if find_objective(settings.objective).data == "rollouts":
        raise ValueError(
            f"--objective {settings.objective!r} learns from no pairs, which a curve is measured "
            "on; leave it out"
        )
    pairs, backbone, accelerator = _open(settings)
    backbone.to(accelerator.device)
    curve = measure_curve(settings, backbone, pairs, accelerator.device)
    click.echo(as_text(curve))
    click.echo(f"See {write_curve(curve, Path(settings.out))}")


class PlotSettings(StrictModel):
    runs: tuple[Path, ...] = setting(ARGUMENTS, "Folders of runs.", ..., metavar="RUN...")
    out: Path | None = setting(
        "Output",
        "Page to write, NAME.html, or its folder.",
        None,
        without="curves.html of the first run's folder",
        also="output_dir",
    )


@main.command(example="sipo-train plot runs/sipo runs/diffusion-dpo")
@settings_options(PlotSettings)
def plot(settings: PlotSettings) -> None:
    """Draw the curves of one or several runs: a page that stands alone, and a picture.

    Rewards, errors, gradients and validation over time, with the warnings on the time axis;
    weights, pairs kept and rewards by timestep. Writes curves.html and curves.png, or NAME.html
    and NAME.png.
    """
    from sipo.train.monitor.plot import plot as draw

    click.echo(f"See {draw(settings.runs, settings.out or settings.runs[0])}")


def _last_word(summary: RunSummary) -> str:
    done = f"{summary.out}: {summary.steps} steps, {summary.pairs_seen} pairs"
    if not (last := summary.last):  # its log was taken away
        return done
    if "psi_w" not in last:  # nothing to measure rewards against
        return f"{done}; loss {last['loss']:.4f}"
    rewards = f"psi_w {last['psi_w']:+.3f}, psi_l {last['psi_l']:+.3f}"
    return f"{done}; {rewards}, acc {last['implicit_acc']:.2f}"


def _resolve(config: str | None, given: Given) -> Completed[TrainSettings]:
    if config and click.get_current_context().default_map:
        raise ValueError("--recipe and a settings file were both given; give one")
    from_file = read_yaml(Path(config)) if config else YamlMap({}, "", {})
    of_run = config is not None and Path(config).with_name("run.json").is_file()  # whole
    said = {**from_file, **given}
    try:
        completed = Completed(make_settings(said), "") if of_run else complete(said)
    except SettingError as error:
        if error.name in from_file and error.name not in given:
            raise ValueError(f"settings file {from_file.where(error.name)}: {error}") from None
        raise
    settings = completed.settings
    if not settings.data:
        raise ValueError("--data is missing; give a folder of shards that sipo-data wrote")
    if settings.backbone:
        check_backbone(settings.backbone)
    if settings.init_weights:
        check_weights(settings.init_weights, "--init_weights")
    return completed


def _open(settings: TrainSettings) -> tuple[Any, Backbone, Accelerator]:
    from sipo.train.build import make_accelerator, open_backbone, open_data

    pairs = open_data(settings)
    accelerator = make_accelerator(settings)
    return pairs, open_backbone(settings, pairs), accelerator


if __name__ == "__main__":
    main()

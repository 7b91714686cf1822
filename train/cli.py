"""`sipo-train`: options from `TrainSettings`, torch loaded only once there is work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sipo.backbones import settings as model
from sipo.backbones.model_defaults import Completed
from sipo.common.commands import Commands
from sipo.common.files.urls import place_of
from sipo.common.files.yaml_files import YamlMap
from sipo.common.last_words import JSON, end, typed_again
from sipo.common.options import DRY_RUN, Argument, Value, settings_options
from sipo.common.quiet_libraries import no_loading_bars
from sipo.common.settings import ARGUMENTS, OUT, StrictModel, setting
from sipo.recipes import recipe_option
from sipo.train.next_commands import after_plot, after_training
from sipo.train.refusals import SAMPLING, refuse_impossible
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
@JSON
def main(given: Given, config: str | None, dry_run: bool) -> None:
    """Train a policy on preference pairs: LoRA or whole model, SIPO or its relatives.

    What is not given is as the model's defaults.json says, where it has one, else as below. The
    same command again goes on where it stopped. Options may be written with '-' or '_'.
    """
    completed = _resolve(config, given)
    settings = completed.settings
    refuse_impossible(settings)  # before the libraries that take seconds to import
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
        told: dict[str, object] = {}
        if completed.told:
            told["model_defaults"] = completed.told
        if settings.push_to_hub:
            from sipo.train.sharing.push_run import repository_name

            told["would_push_to"] = repository_name(settings)
        end(facts | told, json.dumps(facts | told, indent=1), typed_again("--dry-run"))
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
    end(summary.to_dict(), _last_word(summary), after_training(settings, summary))


@main.command(example="sipo-train calibrate --data shards --out calibration")
@CONFIG
@OPTIONS
def calibrate(given: Given, config: str | None) -> None:
    """Measure error and w(t) by timestep; propose --num_chain_steps.

    Writes weights.json and weights.png to --out, prints the table, and trains nothing.
    """
    from sipo.train.objective.registry import find_objective

    asked = _resolve(config, given).settings
    if asked.objective in SAMPLING or find_objective(asked.objective).data == "rollouts":
        raise ValueError(
            f"--objective {asked.objective!r} learns from no pairs, which a curve is measured "
            "on; leave it out"
        )
    refuse_impossible(asked)
    from sipo.train.distributed.accelerate_env import as_launched
    from sipo.train.monitor.weight_calibration import as_text, measure_curve, write_curve

    settings = as_launched(asked)
    pairs, backbone, accelerator = _open(settings)
    backbone.to(accelerator.device)
    curve = measure_curve(settings, backbone, pairs, accelerator.device)
    page, steps = write_curve(curve, place_of(settings.out)), curve["proposed_num_chain_steps"]
    after = typed_again(name="sipo-train", num_chain_steps=steps)
    end(None, [as_text(curve), f"See {page}"], after)


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

    page = draw(settings.runs, settings.out or settings.runs[0])
    end(None, f"See {page}", after_plot(settings.runs[-1]))


class PushSettings(StrictModel):
    run: Path = setting(ARGUMENTS, "Folder of a finished run.", ..., metavar="RUN")
    repo_id: str = setting(
        "Hub", "Repository to push to.", ..., metavar="OWNER/NAME", also="hub_model_id"
    )
    private: bool = setting("Hub", "Make the repository private.", False, also="hub_private")


@main.command(example="sipo-train push runs/sd15 --repo-id me/sd15-sipo --private")
@settings_options(PushSettings)
@DRY_RUN
def push(settings: PushSettings, dry_run: bool) -> None:
    """Push the policy of a finished run to the hub, with its card, as --push_to_hub does."""
    from sipo.train.sharing.push_run import push_run

    named = settings.run, settings.repo_id, settings.private
    push_run(*named, click.echo, dry_run=dry_run)


class ExportSettings(StrictModel):
    run: Path = setting(ARGUMENTS, "Folder of a finished run.", ..., metavar="RUN")
    format: Literal["diffusers", "comfyui", "fused"] = setting(
        "Output", "Form to write.", "comfyui"
    )
    backbone: str = model.BACKBONE("", without="what the run says")
    dtype: Literal["float32", "bfloat16", "float16"] = setting(
        "Output", "Number format of what is written.", "float32"
    )
    out: Path = OUT(...)


@main.command(example="sipo-train export runs/sd15 --format comfyui --out sd15-comfyui")
@settings_options(ExportSettings)
def export(settings: ExportSettings) -> None:
    """Write the policy of RUN for other programs, read it again, and compare.

    comfyui has kohya's names, as A1111 too loads them (Stable Diffusion 1, 2, XL and FLUX);
    diffusers is the LoRA and its card alone; fused is the whole pipeline with the policy in it.
    """
    from sipo.train.sharing.export_policy import export_policy

    named = settings.run, settings.format, settings.out, settings.backbone, settings.dtype
    end(None, f"written: {export_policy(*named)}")


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
    return completed


def _open(settings: TrainSettings) -> tuple[Any, Backbone, Accelerator]:
    from sipo.train.build import make_accelerator, open_backbone, open_data

    pairs = open_data(settings)
    accelerator = make_accelerator(settings)
    return pairs, open_backbone(settings, pairs), accelerator


if __name__ == "__main__":
    main()

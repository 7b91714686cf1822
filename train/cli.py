"""`sipo-train`: options generated from `TrainSettings`, torch loaded only once there is work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from sipo.backbones.loading.names import check_backbone
from sipo.backbones.loading.trained_weights import check_weights
from sipo.common.errors import user_errors
from sipo.common.files.yaml_files import YamlMap
from sipo.common.options import PATH, PATH_TEXT
from sipo.common.quiet import no_loading_bars
from sipo.recipes import recipe_option
from sipo.train.settings import ALIASES, SettingError, TrainSettings, make_settings, read_yaml

if TYPE_CHECKING:
    from sipo.train.checkpoints import RunSummary

Command = Callable[..., Any]
PATHS = {"out", "backbone", "init_weights", "resume_from_checkpoint"}
PATHS |= {"judge_weights", "validation_judge_weights", "validation_prompts"}
"""Settings that name something, though "" is their default: an empty variable is no answer."""


def settings_options(command: Command) -> Command:
    """One option a setting, in the model's order; unset ones stay None."""
    for name in reversed(TrainSettings.model_fields):
        flags = [name, *(alias for alias, target in ALIASES.items() if target == name)]
        command = click.option(*_declare(name, flags), **_option(name))(command)
    return command


def _declare(name: str, flags: list[str]) -> list[str]:
    if TrainSettings.model_fields[name].annotation is bool:
        return [name, f"--{name}/--no_{name}"]
    return [name, *(f"--{flag}" for flag in flags)]


def _option(name: str) -> dict[str, Any]:
    field = TrainSettings.model_fields[name]
    kinds = [kind for kind in _members(field.annotation) if kind is not type(None)]
    kind: Any = kinds[0]
    text = field.description or ""
    if field.default not in ("", None, []) and "[default" not in text:
        text += f" [default: {field.default}]"
    if get_origin(kind) is Literal:
        return {"metavar": f"[{'|'.join(get_args(kind))}]", "help": text}  # pydantic checks it
    if get_origin(kind) is list:
        return {"multiple": True, "type": PATH_TEXT, "help": text}
    if name in PATHS:
        kind = PATH_TEXT
    return {"type": None if kind is bool else kind, "default": None, "help": text}


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)


class WithViews(click.Command):
    """A command that does its work, with subcommands beside it that look at that work."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands: dict[str, click.Command] = {}

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if args and args[0] in self.commands:
            view, name = self.commands[args[0]], f"{info_name} {args[0]}"
            return view.make_context(name, args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            shown = [
                (f"sipo-train {n}", c.get_short_help_str(70)) for n, c in self.commands.items()
            ]
            formatter.write_dl(shown)


CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda token: token.replace("-", "_"),
    "max_content_width": 100,
}


@click.command(cls=WithViews, context_settings=CONTEXT)
@click.argument("config", required=False, type=PATH, metavar="[FILE.yaml]")
@recipe_option("train")
@settings_options
@click.option("--dry_run", is_flag=True, help="Say what would be trained, and stop.")
@user_errors
def main(config: Path | None, dry_run: bool, **options: Any) -> None:
    """Train a policy on preference pairs: LoRA or whole model, SIPO or its relatives.

    TrainSettings come from FILE.yaml and then from the command line. The same command again goes on
    where it stopped. Options may be written with '-' or '_'.
    """
    settings = _resolve(config, options)
    if dry_run:
        from sipo.train.distributed.accelerate_env import as_launched
        from sipo.train.run_length import describe, make_plan

        settings = as_launched(settings)
        pairs, backbone, accelerator = _open(settings)
        plan = make_plan(settings, len(pairs), accelerator.num_processes)
        click.echo(json.dumps(describe(settings, backbone, plan), indent=1))
        return
    no_loading_bars()
    from sipo.train.distributed.cpu_launcher import train_on_cores

    try:
        summary = train_on_cores(settings)
    except FloatingPointError as error:
        raise click.ClickException(str(error)) from error
    for warning in summary.warnings:
        click.echo(f"warning, {warning}", err=True)
    click.echo(_last_word(summary))


@click.command(context_settings=CONTEXT)
@click.argument("config", required=False, type=PATH, metavar="[FILE.yaml]")
@settings_options
@user_errors
def calibrate(config: Path | None, **options: Any) -> None:
    """Measure error and w(t) by timestep; propose --num_chain_steps.

    Writes weights.json and weights.png to --out, prints the table, and trains nothing.
    """
    from sipo.train.monitor.weight_calibration import as_text, measure_curve, write_curve

    settings = _resolve(config, options)
    pairs, backbone, accelerator = _open(settings)
    backbone.to(accelerator.device)
    curve = measure_curve(settings, backbone, pairs, accelerator.device)
    click.echo(as_text(curve))
    click.echo(f"See {write_curve(curve, Path(settings.out))}")


@click.command(context_settings=CONTEXT)
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@click.option("--out", type=PATH, help="[default: the first run's folder]")
@user_errors
def plot(runs: tuple[Path, ...], out: Path | None) -> None:
    """Draw the curves of one or several runs.

    Writes curves.png and curves.html: rewards, errors, gradients, and the warnings.
    """
    from sipo.train.monitor.plot import plot as draw

    click.echo(f"See {draw(runs, out or runs[0])}")


main.commands |= {"calibrate": calibrate, "plot": plot}


def _last_word(summary: RunSummary) -> str:
    done = f"{summary.out}: {summary.steps} steps, {summary.pairs_seen} pairs"
    if not (last := summary.last):  # its log was taken away
        return done
    rewards = f"psi_w {last['psi_w']:+.3f}, psi_l {last['psi_l']:+.3f}"
    return f"{done}; {rewards}, acc {last['implicit_acc']:.2f}"


def _resolve(config: Path | None, options: dict[str, Any]) -> TrainSettings:
    if config and click.get_current_context().default_map:
        raise ValueError("--recipe and a settings file were both given; give one")
    from_file = read_yaml(config) if config else YamlMap({}, "", {})
    typed = {key: value for key, value in options.items() if value not in (None, ())}
    try:
        settings = make_settings({**from_file, **typed})
    except SettingError as error:
        if error.name in from_file and error.name not in typed:
            raise ValueError(f"settings file {from_file.where(error.name)}: {error}") from None
        raise
    if not settings.data:
        raise ValueError("--data is missing; give a folder of shards that sipo-data wrote")
    if settings.backbone:
        check_backbone(settings.backbone)
    if settings.init_weights:
        check_weights(settings.init_weights, "--init_weights")
    return settings


def _open(settings: TrainSettings) -> tuple[Any, Any, Any]:
    from sipo.train.build import make_accelerator, open_backbone, open_data

    pairs = open_data(settings)
    return pairs, open_backbone(settings, pairs), make_accelerator(settings)


if __name__ == "__main__":
    main()

"""`sipo`: the four commands as one. None of them is imported before it is asked for."""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import click

from sipo.common.commands import Commands

ROOMS = {
    "data": ("datagen", "Make preference pairs: generate, import, judge, pair, look, export."),
    "train": ("train", "Train a policy on preference pairs; plot runs."),
    "geneval": ("geneval", "Evaluate a model; compare and rank evaluations."),
    "loop": ("loop", "Go round: generate, train and evaluate, with a report."),
}
PACKAGES = ("sipo", "torch", "diffusers", "transformers", "accelerate", "peft")


class Rooms(Commands):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*ROOMS, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ROOMS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = import_module(f"sipo.{ROOMS[cmd_name][0]}.cli").main
        return command

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        return [(name, text) for name, (_, text) in ROOMS.items()] + super().summaries(ctx)


@click.group(cls=Rooms, example="sipo loop --rounds 2 --out runs/loop")
def main() -> None:
    """AI-feedback preference data and SIPO training for text-to-image and -video models.

    `sipo data` is `sipo-data`, and so on: both forms take the same words.
    """


@main.command(example="sipo env")
def env() -> None:
    """Print the versions and devices that a report of a fault needs."""
    for name in PACKAGES:
        click.echo(f"{name:13} {_version(name)}")
    click.echo(f"{'python':13} {platform.python_version()} on {platform.platform()}")
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    for number, name in enumerate(gpus):
        click.echo(f"{f'cuda:{number}':13} {name} (CUDA {torch.version.cuda})")
    click.echo(f"{'cpu':13} {_processor()}, {os.cpu_count()} cores")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [
                line.partition(":")[2].strip() for line in lines if line.startswith("model name")
            ]
        return next(iter(names), platform.machine())
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()

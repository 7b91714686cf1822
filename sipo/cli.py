"""`sipo`: the four commands as one. None of them is imported before it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

from sipo.common.commands import Commands
from sipo.common.last_words import JSON, end
from sipo.doctor import doctor

ROOMS = {
    "data": ("datagen", "Make preference pairs: generate, import, judge, pair, look, export."),
    "train": ("train", "Train a policy on preference pairs; plot runs."),
    "geneval": ("geneval", "Evaluate a model; compare and rank evaluations."),
    "loop": ("loop", "Go round: generate, train and evaluate, with a report."),
}


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
@JSON
def env() -> None:
    """Print the versions and devices that a report of a fault needs."""
    from sipo import machine

    end(machine.facts(), machine.lines(), "sipo doctor")


main.add_command(doctor)


if __name__ == "__main__":
    main()

"""Train the embedded models: `python -m sipo.mini.train vae|unet|judge|evaluator|check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import click


@click.group(help=__doc__)
def main() -> None:
    pass


out_option = click.option("--out", type=click.Path(path_type=Path), required=True)
seed_option = click.option("--seed", default=0, show_default=True)


@main.command()
@out_option
@seed_option
@click.option("--steps", default=2100, show_default=True)
def vae(out: Path, seed: int, steps: int) -> None:
    """The autoencoder of mini-sd (about 20 minutes on two cores)."""
    from sipo.mini.train.vae import train_vae

    train_vae(out, steps, seed)


pipeline_option = click.option(
    "--pipeline",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="mini-sd's folder: look at scenes as it draws them, too.",
)


@main.command()
@out_option
@seed_option
@pipeline_option
@click.option("--steps", default=800, show_default=True)
def judge(out: Path, seed: int, pipeline: Path | None, steps: int) -> None:
    """The judge yolo-world-mini (about 15 minutes on one core)."""
    from sipo.mini.train.yolo_world_mini import train_judge

    train_judge(out, steps, seed, pipeline)


@main.command()
@out_option
@click.option("--seed", default=1000, show_default=True)
@pipeline_option
@click.option("--steps", default=1200, show_default=True)
def evaluator(out: Path, seed: int, pipeline: Path | None, steps: int) -> None:
    """The independent evaluator (about 10 minutes on one core)."""
    from sipo.mini.train.evaluator import train_evaluator

    train_evaluator(out, steps, seed, pipeline)


@main.command()
@click.option("--judge", "name", type=click.Choice(["yolo-world", "mini-evaluator"]), required=True)
@click.option("--weights", type=click.Path(path_type=Path), help="Default: the embedded weights.")
@click.option("--scenes", default=400, show_default=True, help="Scenes a tag and kind.")
@click.option(
    "--view",
    type=click.Choice(["rendered", "softened", "decoded", "redrawn"]),
    default="rendered",
    show_default=True,
)
@pipeline_option
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def check(
    name: str, weights: Path | None, scenes: int, view: str, pipeline: Path | None, as_json: bool
) -> None:
    """How often a judge is right on fresh scenes that obey or break their prompts."""
    from sipo.feedback.detectors.base import Detector
    from sipo.feedback.prompts.mini_prompts import CLASSES
    from sipo.feedback.registry import load_judge
    from sipo.mini.train.check import check as measure

    try:
        table = measure(cast(Detector, load_judge(name, weights, CLASSES)), scenes, view, pipeline)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(table.to_dict()) if as_json else str(table))


@main.command()
@out_option
@seed_option
@click.option("--vae", type=click.Path(path_type=Path), required=True)
@click.option("--steps", default=4000, show_default=True)
@click.option("--init", type=click.Path(path_type=Path), help="A pipeline to go on from.")
@click.option(
    "--stage", type=click.Choice(["sides", "all", "noisy"]), default="all", show_default=True
)
@click.option("--denoiser-only", is_flag=True, help="Leave the text encoder as it is.")
@click.option(
    "--noise", default=0.0, show_default=True, help="Share of captions that lie in one clause."
)
@click.option("--learning-rate", default=1e-3, show_default=True, help="At the peak.")
@click.option("--chunks", default=24, show_default=True, help="Of 2,000 scenes each.")
@click.option("--processes", default=2, show_default=True, help="Single-threaded, a core each.")
def unet(**given: Any) -> None:
    """The denoiser and text encoder of mini-sd (about an hour on two cores)."""
    from sipo.mini.train.unet import Recipe, train_unet

    train_unet(Recipe(**given))


if __name__ == "__main__":
    main()

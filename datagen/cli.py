"""`sipo-data`: generate preference pairs, judge and pair them again, look at them, check them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sipo.backbones.model_defaults import Completed
from sipo.common.cluster.runner_settings import check_runner
from sipo.common.commands import Commands
from sipo.common.errors import UserError
from sipo.common.options import DRY_RUN, settings_options
from sipo.common.quiet_libraries import no_loading_bars
from sipo.datagen import folder_settings as asked
from sipo.datagen.generate_defaults import complete
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.settings import GenerateSettings, check_models
from sipo.recipes import recipe_option

if TYPE_CHECKING:
    from sipo.datagen.storage.folder_summary import FolderSummary


@click.group(cls=Commands, example="sipo-data generate --num-prompts 64 --out shards")
def main() -> None:
    """Preference pairs by AI feedback: sample candidates, judge them, pair them, write shards.

    Every command started again continues where it stopped.
    """


@main.command(example="sipo-data generate --prompts prompts.jsonl --candidates 8 --out shards")
@recipe_option("generate")
@settings_options(GenerateSettings, complete)
@DRY_RUN
def generate(asked: Completed[GenerateSettings], dry_run: bool) -> None:
    """Sample candidates for prompts, judge them, write winner-loser pairs with latents.

    What is not given is as the model's defaults.json says, where it has one, else as below.
    """
    settings = asked.settings
    check_models(settings)  # before the libraries that take seconds to import
    check_runner(settings)
    no_loading_bars()
    from sipo.datagen.generation.build import prepare
    from sipo.datagen.generation.dry_run import plan_lines
    from sipo.datagen.generation.ray_run import generate_on_ray
    from sipo.datagen.generation.run import run

    if settings.runner == "ray":
        if asked.told:
            click.echo(asked.told)
        if not dry_run:
            _report(generate_on_ray(settings), settings.out)
            return
        settings = settings.model_copy(update={"workers": None})  # it tries a batch here
    job = prepare(settings, continuing=not dry_run)
    if asked.told:
        click.echo(asked.told)
    if dry_run:
        click.echo("\n".join(plan_lines(job, settings.out)))
        return
    _report(run(job, settings.out), settings.out)


@main.command(example="sipo-data judge shards --judge mini-evaluator --out shards-judged-again")
@settings_options(asked.JudgeAgainSettings)
def judge(settings: asked.JudgeAgainSettings) -> None:
    """Judge the kept candidates of SHARDS again and pair them anew. Samples nothing.

    With --out the verdicts of SHARDS stay, and NEW is a folder of the same pictures. Verdicts of
    people (`sipo-data import`) are never overwritten: they need it. A judge that can judge nothing
    changes nothing. config.json keeps what SHARDS was first judged by under "original".
    """
    from sipo.datagen.generation.rejudging import judge_folder

    made = judge_folder(
        settings.shards,
        settings.judge,
        settings.judge_weights,
        judged_frames=settings.judged_frames,
        frame_score=settings.frame_score,
        settings=settings.judge_settings,
        out=settings.out,
    )
    _report(made, settings.out or settings.shards)


@main.command(example="sipo-data pair shards --policy best-vs-worst --margin 0.5")
@settings_options(asked.PairAgainSettings)
def pair(settings: asked.PairAgainSettings) -> None:
    """Pair the kept candidates of SHARDS again. Samples and judges nothing.

    What people decided in `sipo-data review` goes on to hold for the same two pictures.
    config.json keeps what SHARDS was first paired by under "original".
    """
    from sipo.datagen.generation.rejudging import pair_folder

    asked_for = settings.policy, settings.margin, settings.max_pairs_per_prompt
    made = pair_folder(settings.shards, *asked_for, out=settings.out)
    _report(made, settings.out or settings.shards)


@main.command(example="sipo-data inspect shards --rows 100")
@settings_options(asked.InspectSettings)
def inspect(settings: asked.InspectSettings) -> None:
    """Summarise SHARDS and write a contact sheet: winner, loser, prompt, scores and reasons."""
    from sipo.common.files.writing import atomic
    from sipo.datagen.looking.contact_sheet import contact_sheet
    from sipo.datagen.storage.folder_summary import summarize, summary_lines
    from sipo.datagen.storage.shard_folder import open_folder

    folder = open_folder(settings.shards)
    click.echo("\n".join(summary_lines(summarize(folder))))
    page = settings.out or settings.shards / "contact.html"
    with atomic(page) as file:
        file.write(contact_sheet(folder, settings.rows).encode())
    click.echo(f"contact sheet: {page}")


@main.command(example="sipo-data review shards --rater anna")
@settings_options(asked.ReviewSettings)
def review(settings: asked.ReviewSettings) -> None:
    """Look at the pairs of SHARDS on a local page: keep, flip or drop. Training heeds it."""
    from sipo.datagen.looking.review import ReviewSession
    from sipo.datagen.storage.folder_summary import summarize, summary_lines
    from sipo.datagen.storage.shard_folder import open_folder
    from sipo.pages.server import serve

    serve(ReviewSession(settings.shards, settings.rater), settings.port, click.echo)
    click.echo("\n".join(summary_lines(summarize(open_folder(settings.shards)))))


@main.command(example="sipo-data validate shards")
@settings_options(asked.FolderSettings)
def validate(settings: asked.FolderSettings) -> None:
    """Read all of SHARDS; name every shard that is truncated, incomplete, changed or foreign."""
    from sipo.datagen.storage.shard_folder import open_folder
    from sipo.datagen.storage.validate import find_damage

    shards = settings.shards
    damage, count = list(find_damage(shards)), open_folder(shards).config.shards
    for sentence in damage:
        click.echo(sentence)
    if damage:
        raise UserError(f"{shards}: {len(damage)} faults in {count} shards")
    click.echo(f"{shards}: {count} shards, all whole")


@main.command(
    "calibrate-judge",
    example="sipo-data calibrate-judge labelled.jsonl --judge yolo-world --out judge.json",
)
@settings_options(asked.CalibrateJudgeSettings)
def calibrate_judge_command(settings: asked.CalibrateJudgeSettings) -> None:
    """Find a detector's thresholds per tag on IMAGES of known content; write --judge-settings."""
    no_loading_bars()
    from sipo.common.files.places import require_file_place
    from sipo.common.files.writing import write_json
    from sipo.feedback.detectors.threshold_calibration import calibrate_judge, calibration_lines
    from sipo.feedback.labelled_images import read_labelled
    from sipo.feedback.registry import load_judge, vocabulary_of

    require_file_place(settings.out)
    rows = read_labelled(settings.images)
    known = vocabulary_of([row.prompt for row in rows])
    loaded = load_judge(settings.judge, settings.judge_weights, known, settings.judge_settings)
    found = calibrate_judge(settings.judge, loaded, rows)
    write_json(settings.out, found.settings(), indent=2)
    click.echo("\n".join(calibration_lines(found)))
    click.echo(f"written: {settings.out}")


@main.command(
    "import",
    example="sipo-data import pickapic pickapic_v2/data/ --backbone mini-sd --out shards/pickapic",
)
@settings_options(ImportSettings)
@settings_options(asked.EncodingSettings)
def import_command(settings: ImportSettings, encoding: asked.EncodingSettings) -> None:
    """Import preference pairs of others from SOURCE. Rows that are no pair are counted by cause."""
    from sipo.datagen.imports.writer import import_pairs

    summary = import_pairs(settings)
    if encoding.backbone is not None:
        summary = _encode(settings.out, encoding)
    _report(summary, settings.out)


@main.command(example="sipo-data encode shards/pickapic --backbone mini-sd")
@settings_options(asked.EncodeSettings)
def encode(settings: asked.EncodeSettings) -> None:
    """Add latents and text embeddings to imported SHARDS, so that they can be trained on."""
    _report(_encode(settings.shards, settings), settings.shards)


@main.command(example="sipo-data export shards --format hf --out pairs")
@settings_options(asked.ExportSettings)
def export(settings: asked.ExportSettings) -> None:
    """Write the pairs of SHARDS as others read them, as their reviewers left them.

    parquet has Pick-a-Pic's columns, webdataset is that of diffusers' ORPO script, hf a dataset
    for `datasets` with its card.
    """
    from sipo.datagen.export import export_folder

    count = export_folder(settings.shards, settings.format, settings.out)
    click.echo(f"{count} pairs written: {settings.out}")


def _encode(shards: Path, how: asked.EncodingSettings) -> FolderSummary:
    no_loading_bars()
    from sipo.datagen.encode import encode_folder

    assert how.backbone is not None
    return encode_folder(shards, how.backbone, how.batch_size, how.dtype, how.device)


def _report(summary: FolderSummary, out: Path) -> None:
    from sipo.datagen.storage.folder_summary import summary_lines

    click.echo("\n".join(summary_lines(summary)))
    click.echo(f"written: {out}")


if __name__ == "__main__":
    main()

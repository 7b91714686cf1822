"""`sipo-data`: generate preference pairs, judge and pair them again, look at them, check them."""

from __future__ import annotations

import json
from functools import partial
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
from sipo.datagen.generate_defaults import complete, complete_as
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.planning.settings import PlanSettings
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
    from sipo.common.own_processes import processes_for

    here = settings.runner == "local" and processes_for(settings.devices, settings.device) == 1
    if not (here or dry_run):
        from sipo.datagen import several_processes

        if asked.told:
            click.echo(asked.told)
        _report(several_processes.generate(settings), settings.out)
        return
    from sipo.datagen.generation.build import prepare
    from sipo.datagen.generation.dry_run import plan_lines
    from sipo.datagen.generation.run import run

    if settings.runner == "ray":
        settings = settings.model_copy(update={"workers": None})  # a batch is tried here
    job = prepare(settings, continuing=not dry_run)  # what is wrong is said first
    if asked.told:
        click.echo(asked.told)
    if dry_run:
        click.echo("\n".join(plan_lines(job, settings.out)))
        return
    _report(run(job, settings.out), settings.out)


@main.command(
    example="sipo-data plan --backbone black-forest-labs/FLUX.1-dev --num-prompts 5000 --devices 16"
)
@recipe_option("generate")
@settings_options(PlanSettings, partial(complete_as, PlanSettings))
def plan(asked: Completed[PlanSettings]) -> None:
    """Say what generate, a training and two evaluations take: hours, disk, money. Writes nothing.

    From counted operations and what was measured of a card, in no time and without the model; with
    --measure from two images sampled here. What is measured, counted and assumed is said.
    """
    from sipo.datagen.planning.lines import plan_lines
    from sipo.datagen.planning.plan import plan_of

    settings = asked.settings
    if settings.measure:
        no_loading_bars()
    made = plan_of(settings)
    if settings.json_:
        click.echo(json.dumps(made.to_dict(), indent=1))
        return
    if asked.told:
        click.echo(asked.told)
    click.echo("\n".join(plan_lines(settings, made)))


@main.command(example="sipo-data judge shards --judge mini-evaluator --out shards-judged-again")
@settings_options(asked.JudgeAgainSettings)
def judge(settings: asked.JudgeAgainSettings) -> None:
    """Judge the kept candidates of SHARDS again and pair them anew. Samples nothing.

    With --out the verdicts of SHARDS stay, and NEW is a folder of the same pictures. Verdicts of
    people (`sipo-data import`) are never overwritten: they need it. A judge that can judge nothing
    changes nothing. config.json keeps what SHARDS was first judged by under "original".
    """
    from sipo.datagen import several_processes

    _report(several_processes.judge(settings), settings.out or settings.shards)


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


@main.command(example="sipo-data merge shards-a shards-b --out shards")
@settings_options(asked.MergeSettings)
def merge(settings: asked.MergeSettings) -> None:
    """Join folders that differ in seed and prompts alone into one. Samples and judges nothing.

    Tars are linked where the disk can, so the folders stay as they are and no space is taken.
    config.json keeps what each was asked under "merged".
    """
    from sipo.datagen.generation.merging import merge_folders

    _report(merge_folders(settings.shards, settings.out), settings.out)


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


@main.command("serve-judge", example="sipo-data serve-judge mini-evaluator --port 8000")
@settings_options(asked.ServeJudgeSettings)
def serve_judge_command(settings: asked.ServeJudgeSettings) -> None:
    """Answer over HTTP what judge NAME says of images, for --judge http=URL and for other programs.

    POST /compute takes JSON with prompts and base64 images, and gives rewards and verdicts; GET
    /health says which judge it is. Runs until Ctrl-C.
    """
    no_loading_bars()
    from sipo.feedback.prompts.prompt import read_prompts
    from sipo.feedback.remote.env_keys import key_in
    from sipo.feedback.remote.judge_server import serve_judge
    from sipo.feedback.remote.judge_service import JudgeService

    key = key_in(settings.key_env, "--key-env") if settings.key_env else None
    prompts = read_prompts(settings.prompts) if settings.prompts else ()
    named = settings.judge, settings.judge_weights, settings.judge_settings
    service = JudgeService(*named, prompts=prompts)
    serve_judge(settings.judge, service, settings.port, settings.host, key, click.echo)


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
    from sipo.datagen import several_processes

    return several_processes.encode(shards, how)


def _report(summary: FolderSummary, out: Path) -> None:
    from sipo.datagen.storage.folder_summary import summary_lines

    click.echo("\n".join(summary_lines(summary)))
    click.echo(f"written: {out}")


if __name__ == "__main__":
    main()

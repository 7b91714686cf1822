"""`sipo-data`: generate preference pairs, judge and pair them again, look at them, check them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sipo.backbones.model_defaults import Completed
from sipo.common.cluster.runner_settings import check_runner
from sipo.common.command_words import command
from sipo.common.commands import Commands
from sipo.common.errors import UserError
from sipo.common.last_words import JSON, end, refuse_json_plan, typed_again
from sipo.common.options import DRY_RUN, settings_options
from sipo.common.quiet_libraries import no_loading_bars
from sipo.datagen import folder_settings as asked
from sipo.datagen.generate_defaults import complete, complete_as
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.next_commands import after_export, after_shards, generate_command
from sipo.datagen.planning.settings import PlanSettings
from sipo.datagen.refusals import (
    refuse_impossible,
    refuse_impossible_judging,
)
from sipo.datagen.settings import GenerateSettings
from sipo.recipes import recipe_option

if TYPE_CHECKING:
    from sipo.datagen.storage.folder_summary import FolderSummary
    from sipo.datagen.storage.shard_folder import ShardFolder


@click.group(cls=Commands, example="sipo-data generate --num-prompts 64 --out shards")
def main() -> None:
    """Preference pairs by AI feedback: sample candidates, judge them, pair them, write shards.

    Every command started again continues where it stopped.
    """


@main.command(example="sipo-data generate --prompts prompts.jsonl --candidates 8 --out shards")
@recipe_option("generate")
@settings_options(GenerateSettings, complete)
@DRY_RUN
@JSON
def generate(asked: Completed[GenerateSettings], dry_run: bool) -> None:
    """Sample candidates for prompts, judge them, write winner-loser pairs with latents.

    What is not given is as the model's defaults.json says, where it has one, else as below.
    """
    settings = asked.settings
    refuse_json_plan(dry_run)
    refuse_impossible(settings)  # before the libraries that take seconds to import
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
        end(None, plan_lines(job, settings.out), typed_again("--dry-run"))
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
    if asked.told:
        click.echo(asked.told)
    end(made.to_dict(), plan_lines(settings, made), generate_command(settings))


@main.command(example="sipo-data judge shards --judge mini-evaluator --out shards-judged-again")
@settings_options(asked.JudgeAgainSettings)
@JSON
def judge(settings: asked.JudgeAgainSettings) -> None:
    """Judge the kept candidates of SHARDS again and pair them anew. Samples nothing.

    With --out the verdicts of SHARDS stay, and NEW is a folder of the same pictures. Verdicts of
    people (`sipo-data import`) are never overwritten: they need it. A judge that can judge nothing
    changes nothing. config.json keeps what SHARDS was first judged by under "original".
    """
    refuse_impossible_judging(settings)
    from sipo.datagen import several_processes

    _report(several_processes.judge(settings), settings.out or settings.shards)


@main.command(example="sipo-data pair shards --policy best-vs-worst --margin 0.5")
@settings_options(asked.PairAgainSettings)
@JSON
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
@JSON
def merge(settings: asked.MergeSettings) -> None:
    """Join folders that differ in seed and prompts alone into one. Samples and judges nothing.

    Tars are linked where the disk can, so the folders stay as they are and no space is taken.
    config.json keeps what each was asked under "merged".
    """
    from sipo.datagen.generation.merging import merge_folders

    _report(merge_folders(settings.shards, settings.out), settings.out)


@main.command(example="sipo-data view shards --out view.html")
@settings_options(asked.ViewSettings)
def view(settings: asked.ViewSettings) -> None:
    """Write one HTML page of SHARDS: pairs with boxes and reasons, prompts with ranked candidates.

    Winner and loser stand side by side, what the loser got wrong is said and marked in the prompt;
    the page filters by tag, margin, complaint, judge and text, and counts what is no pair and why.
    It needs no network, and stays under 15 MB: pictures are scaled, of very many prompts it shows
    as many as fit, evenly taken.
    """
    from sipo.datagen.storage.shard_folder import open_folder

    out = settings.out or settings.shards / asked.VIEW
    said = _write_view(open_folder(settings.shards), out, settings.pairs)
    end(None, said, command("sipo-data", "review", settings.shards))


@main.command(example="sipo-data inspect shards --rows 100")
@settings_options(asked.InspectSettings)
@JSON
def inspect(settings: asked.InspectSettings) -> None:
    """Summarise SHARDS and write the page of `sipo-data view` with some of the pairs."""
    from sipo.datagen.storage.folder_summary import summarize, summary_lines
    from sipo.datagen.storage.shard_folder import open_folder

    folder = open_folder(settings.shards)
    summary, page = summarize(folder), settings.out or settings.shards / "contact.html"
    said = _write_view(folder, page, settings.rows)
    facts = summary.to_dict() | {"out": str(settings.shards), "contact_sheet": str(page)}
    end(facts, [*summary_lines(summary), said], after_shards(settings.shards, summary))


@main.command(example="sipo-data review shards --rater anna")
@settings_options(asked.ReviewSettings)
def review(settings: asked.ReviewSettings) -> None:
    """Look at the pairs of SHARDS on a local page: keep, flip, tie or drop. Training heeds it.

    A note can be left with each, and the last answers be taken back. Decisions belong to the two
    candidates: they hold for another pairing of them, and wait where they are no pair.
    """
    from sipo.datagen.looking.review import ReviewSession
    from sipo.datagen.storage.folder_summary import summarize, summary_lines
    from sipo.datagen.storage.shard_folder import open_folder
    from sipo.pages.server import serve

    serve(ReviewSession(settings.shards, settings.rater), settings.port, click.echo)
    summary = summarize(open_folder(settings.shards))
    end(None, summary_lines(summary), after_shards(settings.shards, summary))


@main.command(example="sipo-data validate shards")
@settings_options(asked.FolderSettings)
@JSON
def validate(settings: asked.FolderSettings) -> None:
    """Read all of SHARDS; name every shard that is truncated, incomplete, changed or foreign."""
    from sipo.datagen.storage.shard_folder import open_folder
    from sipo.datagen.storage.validate import find_damage

    shards = settings.shards
    damage, count = list(find_damage(shards, progress=True)), open_folder(shards).config.shards
    facts = {"out": str(shards), "shards": count, "whole": not damage, "damage": damage}
    if damage:
        end(facts, damage)
        raise UserError(f"{shards}: {len(damage)} faults in {count} shards")
    end(facts, f"{shards}: {count} shards, all whole", after_shards(shards))


@main.command(
    "calibrate-judge",
    example="sipo-data calibrate-judge labelled.jsonl --judge yolo-world --out judge.json",
)
@settings_options(asked.CalibrateJudgeSettings)
@JSON
def calibrate_judge_command(settings: asked.CalibrateJudgeSettings) -> None:
    """Find a detector's thresholds per tag on IMAGES of known content; write --judge-settings.

    With --people, what any judge is worth by them: agreement, Cohen's kappa, error rates, the same
    with thresholds that other prompts chose, and what a gain by this judge means by people.
    """
    from sipo.common.files.places import require_file_place
    from sipo.common.files.writing import write_json
    from sipo.datagen.calibration import calibrate

    require_file_place(settings.out)
    no_loading_bars()
    found = calibrate(settings)
    write_json(settings.out, found.settings, indent=2)
    after = command(
        "sipo-data",
        "generate",
        judge=settings.judge,
        judge_weights=settings.judge_weights,
        judge_settings=settings.out,
    )
    end(found.settings, [*found.lines, f"written: {settings.out}"], after)


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
@JSON
def import_command(settings: ImportSettings, encoding: asked.EncodingSettings) -> None:
    """Import preference pairs of others from SOURCE. Rows that are no pair are counted by cause."""
    from sipo.datagen.imports.writer import import_pairs

    summary = import_pairs(settings)
    if encoding.backbone is not None:
        summary = _encode(settings.out, encoding)
    _report(summary, settings.out)


@main.command(example="sipo-data encode shards/pickapic --backbone mini-sd")
@settings_options(asked.EncodeSettings)
@JSON
def encode(settings: asked.EncodeSettings) -> None:
    """Add latents and text embeddings to imported SHARDS, so that they can be trained on."""
    _report(_encode(settings.shards, settings), settings.shards)


@main.command(example="sipo-data export shards --format hf --out pairs")
@settings_options(asked.ExportSettings)
def export(settings: asked.ExportSettings) -> None:
    """Write the pairs of SHARDS as others read them, as their reviewers left them.

    parquet has Pick-a-Pic's columns, webdataset is that of diffusers' ORPO script, hf a dataset
    for `datasets` with its card, fiftyone a FiftyOneDataset with boxes and complaints.
    """
    from sipo.datagen.export import export_folder

    count = export_folder(settings.shards, settings.format, settings.out)
    end(None, f"{count} pairs written: {settings.out}", after_export(settings))


@main.command(example="sipo-data push shards --repo-id me/pairs --private")
@settings_options(asked.PushSettings)
@DRY_RUN
def push(settings: asked.PushSettings, dry_run: bool) -> None:
    """Push the finished shards of SHARDS to the hub, with a card. Again sends what is missing.

    The token is HF_TOKEN's, or that of `hf auth login`. `datasets` streams what was pushed.
    """
    from sipo.datagen.pushing import push_folder

    named = settings.shards, settings.repo_id, settings.private, settings.license
    push_folder(*named, click.echo, dry_run)


def _write_view(folder: ShardFolder, out: Path, most_pairs: int | None) -> str:
    from sipo.common.files.writing import write_text
    from sipo.datagen.looking.view_page import view

    made = view(folder, most_pairs)
    write_text(out, made.page)
    return f"page of {made.said}: {out}"


def _encode(shards: Path, how: asked.EncodingSettings) -> FolderSummary:
    no_loading_bars()
    from sipo.datagen import several_processes

    return several_processes.encode(shards, how)


def _report(summary: FolderSummary, out: Path) -> None:
    from sipo.datagen.storage.folder_summary import summary_lines

    facts = summary.to_dict() | {"out": str(out)}
    end(facts, [*summary_lines(summary), f"written: {out}"], after_shards(out, summary))


if __name__ == "__main__":
    main()

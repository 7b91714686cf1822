"""`sipo-data`: generate preference pairs, judge and pair them again, look at them, check them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sipo.common.errors import UserError, user_errors
from sipo.common.options import PATH, PROMPTS_HELP, SEED, FiniteRange, joined
from sipo.common.quiet import no_loading_bars
from sipo.recipes import recipe_option

_QUANTIZE = "Of the denoiser: no, nf4 (bitsandbytes) or int8 (torchao).  [default: no]"
_JUDGED_FRAMES = "Frames of a clip that are judged."
_FRAME_SCORE = "A clip's score of its frames': mean or worst."
_JUDGE = "Who looks at the images; several are one."
_JUDGE_SETTINGS = "JSON by judge: thresholds, colours, the rule of several."
_NEW = "A new folder, NEW, for it.  [default: in place]"
_ENCODER = "Whose VAE and text encoders make the latents."
_POLICIES = "all-over-margin, best-vs-worst or correct-vs-incorrect"


def _encoding_options(command: Callable[..., None]) -> Callable[..., None]:
    """How a backbone's VAE and text encoders are run."""
    dtypes = click.Choice(["float32", "bfloat16", "float16"])
    for option in (
        click.option("--device", default="auto", help="[default: cuda where there is one]"),
        click.option("--dtype", type=dtypes, default="float32", help="[default: float32]"),
        click.option("--batch-size", type=click.IntRange(1), default=8, help="[default: 8]"),
    ):
        command = option(command)
    return command


@click.group(context_settings={"max_content_width": 100})
def main() -> None:
    """Preference pairs by AI feedback: sample candidates, judge them, pair them, write shards.

    Every command started again continues where it stopped.
    """


@main.command()
@recipe_option("generate")
@click.option(
    "--backbone",
    "--pretrained_model_name_or_path",
    help="Embedded model, diffusers folder or hub id.  [default: mini-sd]",
)
@click.option(
    "--weights", type=PATH, help="A run of sipo-train, a LoRA's .safetensors file, or its folder."
)
@click.option("--prompts", type=PATH, help=PROMPTS_HELP)
@click.option("--suite", help="mini-train (of mini-sd) or geneval-train (of others), not a file.")
@click.option(
    "--num-prompts", type=click.IntRange(1), help="[default: a whole file, 256 of a suite]"
)
@click.option("--skip-prompts", type=click.IntRange(0), help="Leave out the first.  [default: 0]")
@click.option("--judge", multiple=True, callback=joined, help=_JUDGE + "  [default: yolo-world]")
@click.option("--judge-weights", type=PATH, help="Its weights instead of the embedded ones.")
@click.option("--judge-settings", type=PATH, help=_JUDGE_SETTINGS)
@click.option("--candidates", type=click.IntRange(2), help="Images per prompt.  [default: 8]")
@click.option("--seed", type=SEED, help="[default: 0]")
@click.option("--steps", type=click.IntRange(1), help="[default: the checkpoint's]")
@click.option("--guidance", type=FiniteRange(0), help="[default: the checkpoint's]")
@click.option("--height", type=click.IntRange(1), help="Pixels.  [default: the checkpoint's]")
@click.option("--width", type=click.IntRange(1), help="Pixels.  [default: the checkpoint's]")
@click.option("--frames", type=click.IntRange(1), help="Of a clip.  [default: the checkpoint's]")
@click.option("--judged-frames", type=click.IntRange(1), help=_JUDGED_FRAMES + "  [default: 8]")
@click.option("--frame-score", help=_FRAME_SCORE + "  [default: mean]")
@click.option("--batch-size", type=click.IntRange(1), help="Images at a time.  [default: 16]")
@click.option("--prompts-per-shard", type=click.IntRange(1), help="[default: 8]")
@click.option("--policy", help=f"{_POLICIES}.  [default: all-over-margin]")
@click.option("--margin", type=FiniteRange(0, 1), help="Least score gap.  [default: 0.3]")
@click.option("--max-pairs-per-prompt", type=click.IntRange(1), help="[default: 8]")
@click.option("--dtype", help="float32, bfloat16 or float16.  [default: float32]")
@click.option("--quantize", help=_QUANTIZE)
@click.option("--device", help="[default: cuda where there is one]")
@click.option("--offload", is_flag=True, default=None, help="Models wait on the CPU until needed.")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes on a CPU.  [default: one a core]"
)
@click.option("--out", "--output_dir", "out", type=PATH, help="[default: shards]")
@click.option("--dry-run", is_flag=True, help="Time some, say what would be done; no files.")
@user_errors
def generate(dry_run: bool, **options: Any) -> None:
    """Sample candidates for prompts, judge them, write winner-loser pairs with latents."""
    from sipo.datagen.settings import GenerateSettings, check_models

    settings = GenerateSettings(
        **{name: value for name, value in options.items() if value is not None}
    )
    check_models(settings)  # before the libraries that take seconds to import
    no_loading_bars()
    from sipo.datagen.generation.build import prepare
    from sipo.datagen.generation.dry_run import plan_lines
    from sipo.datagen.generation.run import run

    job = prepare(settings, continuing=not dry_run)
    if dry_run:
        click.echo("\n".join(plan_lines(job, settings.out)))
        return
    _report(run(job, settings.out), settings.out)


@main.command()
@click.argument("shards", type=PATH)
@click.option("--judge", "name", multiple=True, callback=joined, required=True, help=_JUDGE)
@click.option("--judge-weights", type=PATH, help="Its weights instead of the embedded ones.")
@click.option("--judge-settings", type=PATH, help=_JUDGE_SETTINGS)
@click.option(
    "--judged-frames", type=click.IntRange(1), help=_JUDGED_FRAMES + "  [default: as before]"
)
@click.option("--frame-score", help=_FRAME_SCORE + "  [default: as before]")
@click.option("--out", type=PATH, help=_NEW)
@user_errors
def judge(
    shards: Path,
    name: str,
    judge_weights: Path | None,
    judge_settings: Path | None,
    judged_frames: int | None,
    frame_score: str | None,
    out: Path | None,
) -> None:
    """Judge the kept candidates of SHARDS again and pair them anew. Samples nothing.

    With --out the verdicts of SHARDS stay, and NEW is a folder of the same pictures. Verdicts of
    people (`sipo-data import`) are never overwritten: they need it. A judge that can judge nothing
    changes nothing. config.json keeps what SHARDS was first judged by under "original".
    """
    from sipo.datagen.generation.run import judge_folder

    asked = {"count": judged_frames, "score": frame_score}
    frames = {key: value for key, value in asked.items() if value is not None}
    made = judge_folder(
        shards, name, judge_weights, frames=frames, settings=judge_settings, out=out
    )
    _report(made, out or shards)


@main.command()
@click.argument("shards", type=PATH)
@click.option("--policy", help=f"{_POLICIES}.  [default: as before]")
@click.option("--margin", type=FiniteRange(0, 1), help="[default: as before]")
@click.option("--max-pairs-per-prompt", type=click.IntRange(1), help="[default: as before]")
@click.option("--out", type=PATH, help=_NEW)
@user_errors
def pair(shards: Path, out: Path | None, **options: Any) -> None:
    """Pair the kept candidates of SHARDS again. Samples and judges nothing.

    What people decided in `sipo-data review` goes on to hold for the same two pictures.
    config.json keeps what SHARDS was first paired by under "original".
    """
    from sipo.datagen.generation.run import pair_folder

    _report(pair_folder(shards, **options, out=out), out or shards)


@main.command()
@click.argument("shards", type=PATH)
@click.option("--rows", type=click.IntRange(1), default=48, show_default=True, help="Of pairs.")
@click.option("--out", type=PATH, help="[default: SHARDS/contact.html]")
@user_errors
def inspect(shards: Path, rows: int, out: Path | None) -> None:
    """Summarise SHARDS and write a contact sheet: winner, loser, prompt, scores and reasons."""
    from sipo.common.files.writing import atomic
    from sipo.datagen.looking.contact_sheet import contact_sheet
    from sipo.datagen.looking.folder_summary import summarize, summary_lines
    from sipo.datagen.storage.shard_folder import open_folder

    folder = open_folder(shards)
    click.echo("\n".join(summary_lines(summarize(folder))))
    page = out or shards / "contact.html"
    with atomic(page) as file:
        file.write(contact_sheet(folder, rows).encode())
    click.echo(f"contact sheet: {page}")


@main.command()
@click.argument("shards", type=PATH)
@click.option("--rater", default="rater", show_default=True, help="Who decides, for the record.")
@click.option("--port", default=0, help="[default: a free one]")
@user_errors
def review(shards: Path, rater: str, port: int) -> None:
    """Look at the pairs of SHARDS on a local page: keep, flip or drop. Training heeds it."""
    from sipo.datagen.looking.folder_summary import summarize, summary_lines
    from sipo.datagen.looking.review import ReviewSession
    from sipo.datagen.storage.shard_folder import open_folder
    from sipo.pages.server import serve

    serve(ReviewSession(shards, rater), port, click.echo)
    click.echo("\n".join(summary_lines(summarize(open_folder(shards)))))


@main.command()
@click.argument("shards", type=PATH)
@user_errors
def validate(shards: Path) -> None:
    """Read all of SHARDS; name every shard that is truncated, incomplete, changed or foreign."""
    from sipo.datagen.storage.shard_folder import open_folder
    from sipo.datagen.storage.validate import find_damage

    damage = list(find_damage(shards))
    for sentence in damage:
        click.echo(sentence)
    if damage:
        raise UserError(f"{shards}: {len(damage)} faults in {open_folder(shards).shards} shards")
    click.echo(f"{shards}: {open_folder(shards).shards} shards, all whole")


@main.command("calibrate-judge")
@click.argument("images", type=PATH)
@click.option("--judge", default="yolo-world", show_default=True, help="A detector.")
@click.option("--judge-weights", type=PATH, help="Its weights instead of the embedded ones.")
@click.option("--judge-settings", type=PATH, help=_JUDGE_SETTINGS)
@click.option("--out", type=PATH, default=Path("judge.json"), show_default=True, help="JSON file.")
@user_errors
def calibrate_judge_command(
    images: Path, judge: str, judge_weights: Path | None, judge_settings: Path | None, out: Path
) -> None:
    """Find a detector's thresholds per tag on IMAGES of known content; write --judge-settings.

    IMAGES is a folder in GenEval's layout (with results.jsonl its labels count; without, every
    image is taken to show its prompt), or JSONL rows {"image", "prompt", "correct"}.
    """
    no_loading_bars()
    from sipo.common.files.writing import write_json
    from sipo.datagen.storage.shard_folder import require_file_place
    from sipo.feedback.detectors.threshold_calibration import calibrate_judge, calibration_lines
    from sipo.feedback.labelled_images import read_labelled
    from sipo.feedback.registry import load_judge, vocabulary_of

    require_file_place(out)
    rows = read_labelled(images)
    known = vocabulary_of([row.prompt for row in rows])
    loaded = load_judge(judge, judge_weights, known, judge_settings)
    found = calibrate_judge(judge, loaded, rows)
    write_json(out, found.settings(), indent=2)
    click.echo("\n".join(calibration_lines(found)))
    click.echo(f"written: {out}")


@main.command("import")
@click.argument("format", metavar="FORMAT")
@click.argument("source", metavar="SOURCE")
@click.option("--out", type=PATH, default=Path("shards"), show_default=True, help="New folder.")
@click.option("--images", type=PATH, help="Where paths of a list begin.  [default: its folder]")
@click.option("--split", help="Of a Hugging Face dataset.  [default: train]")
@click.option("--revision", help="Of a Hugging Face dataset.  [default: the newest]")
@click.option("--limit", type=click.IntRange(1), help="Pairs at most.  [default: all]")
@click.option("--resolution", type=click.IntRange(8), help="Pixels of a side.  [default: 512]")
@click.option("--width", type=click.IntRange(8), help="Pixels, of no square.  [default: the same]")
@click.option("--frames", type=click.IntRange(1), help="Of a clip.  [default: images, no clips]")
@click.option("--fps", type=click.IntRange(1), help="Frames a second of clips.")
@click.option("--pairs-per-shard", type=click.IntRange(1), help="[default: 64]")
@click.option(
    "--follow-links", is_flag=True, help="Pictures may be links out of the folder: a hub's cache."
)
@click.option("--backbone", help=_ENCODER + "  [default: do not encode yet]")
@_encoding_options
@user_errors
def import_command(
    backbone: str | None, batch_size: int, dtype: str, device: str, **options: Any
) -> None:
    """Import preference pairs of others from SOURCE.

    FORMAT is pickapic (parquet), hpdv2 or hpdv3 (JSON and images), folder (JSON or CSV with
    prompt, winner, loser), webdataset (tars with jpg_0, jpg_1, label_0, label_1, original_prompt)
    or hf (a Hugging Face dataset or folder). Rows that are no pair are counted by cause.
    """
    from sipo.datagen.imports.settings import ImportSettings
    from sipo.datagen.imports.writer import import_pairs

    given = {name: value for name, value in options.items() if value is not None}
    settings = ImportSettings(**given)
    summary = import_pairs(settings)
    if backbone is not None:
        summary = _encode(settings.out, backbone, batch_size, dtype, device)
    _report(summary, settings.out)


@main.command()
@click.argument("shards", type=PATH)
@click.option("--backbone", default="mini-sd", show_default=True, help=_ENCODER)
@_encoding_options
@user_errors
def encode(shards: Path, backbone: str, batch_size: int, dtype: str, device: str) -> None:
    """Add latents and text embeddings to imported SHARDS, so that they can be trained on."""
    _report(_encode(shards, backbone, batch_size, dtype, device), shards)


@main.command()
@click.argument("shards", type=PATH)
@click.option(
    "--format", "format_", default="parquet", show_default=True, help="parquet, webdataset or hf."
)
@click.option("--out", type=PATH, required=True, help="New folder.")
@user_errors
def export(shards: Path, format_: str, out: Path) -> None:
    """Write the pairs of SHARDS as others read them, as their reviewers left them.

    parquet has Pick-a-Pic's columns, webdataset is that of diffusers' ORPO script, hf a dataset
    for `datasets` with its card.
    """
    from sipo.datagen.export import export_folder

    click.echo(f"{export_folder(shards, format_, out)} pairs written: {out}")


def _encode(
    shards: Path, backbone: str, batch_size: int, dtype: str, device: str
) -> dict[str, Any]:
    no_loading_bars()
    from sipo.datagen.encode import encode_folder

    return encode_folder(shards, backbone, batch_size, dtype, device)


def _report(summary: dict[str, Any], out: Path) -> None:
    from sipo.datagen.looking.folder_summary import summary_lines

    click.echo("\n".join(summary_lines(summary)))
    click.echo(f"written: {out}")


if __name__ == "__main__":
    main()

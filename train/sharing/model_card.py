"""`README.md` of a run: the model's card, as diffusers and the hub read it.

Everything in it stands in the run folder, in the folders that it learnt from or in the base's own
card. What is not known is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sipo import __version__
from sipo.backbones.loading.about_model import (
    UNKNOWN,
    Licence,
    licence_of,
    pipeline_class,
    public_name,
)
from sipo.backbones.loading.names import is_embedded, is_part
from sipo.backbones.loading.trained_weights import LORA_FILE
from sipo.common.markdown_card import code, facts, plain, section, table, write_card
from sipo.train.checkpoint_files import RunSummary
from sipo.train.monitor.validation_sheet import FOLDER
from sipo.train.settings import TrainSettings
from sipo.train.sharing.loading_code import loading_code
from sipo.train.sharing.run_facts import Data, RunFacts, read_run_facts

FAMILY_TAGS = {
    "StableDiffusionPipeline": ("stable-diffusion", "stable-diffusion-diffusers"),
    "StableDiffusionXLPipeline": ("stable-diffusion-xl", "stable-diffusion-xl-diffusers"),
    "StableDiffusion3Pipeline": ("sd3", "sd3-diffusers"),
    "FluxPipeline": ("flux", "flux-diffusers"),
    "SanaPipeline": ("sana", "sana-diffusers"),
    "CogVideoXPipeline": ("cogvideox", "cogvideox-diffusers"),
    "WanPipeline": ("wan", "wan-diffusers"),
}
"""As diffusers' training scripts tag what they make."""
OF_A_RUN = {"data", "out", "backbone", "init_weights", "report_to", "tracker_project_name"}
OF_A_RUN |= {"resume_from_checkpoint", "workers", "push_to_hub", "hub_model_id", "hub_private"}
OF_A_RUN |= {"hub_datasets", "validation_prompts", "judge_weights", "validation_judge_weights"}
"""Settings that are said elsewhere in the card, or are of one machine alone."""
ALWAYS = ("objective", "beta_dpo", "learning_rate", "lr_scheduler", "train_batch_size", "seed")


@dataclass(frozen=True)
class Picture:
    """The same prompt and noise before and after, as files in the run folder."""

    prompt: str
    before: str
    after: str


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation saw, which training alone does not: rows of tables, sentences."""

    gains: Sequence[Sequence[str]] = ()  # of what, before, after, gain, 95 % interval
    measured_by: str = ""  # a sentence
    rounds: Sequence[Sequence[str]] = ()  # round, whether kept, Overall, pairs
    pictures: Sequence[Picture] = ()
    warnings: Sequence[str] = ()


def write_model_card(
    run: Path,
    base: str = "",
    evaluation: Evaluation | None = None,
    done: RunSummary | None = None,
    place: Path | None = None,
) -> Path:
    """Returns the card. `base` is the model's name where the folder's settings do not say it,
    `done` the summary where it is still to be written, `place` where the folder will be found.

    Raises ValueError for what is no run folder.
    """
    from huggingface_hub import ModelCardData

    known, seen = read_run_facts(run, done), evaluation or Evaluation()
    base = known.base or base
    pipeline, licence = pipeline_class(base), licence_of(base)
    lora = (run / LORA_FILE).is_file()
    head = ModelCardData(
        base_model=public_name(base) if _is_on_hub(base) else None,
        base_model_relation=("adapter" if lora else "finetune") if _is_on_hub(base) else None,
        library_name="diffusers",
        pipeline_tag="text-to-video" if known.makes_clips else "text-to-image",
        license=licence.id if licence else UNKNOWN,
        license_name=licence.name if licence else None,
        license_link=licence.link if licence else None,
        datasets=list(known.settings.get("hub_datasets") or ()) or None,
        tags=_tags(known, pipeline, lora),
        widget=[{"text": one.prompt, "output": {"url": one.after}} for one in seen.pictures]
        or None,
    )
    prompt = seen.pictures[0].prompt if seen.pictures else _a_prompt(known)
    lines = loading_code(run, place or run, base, pipeline, prompt, known.sampler, known.fps)
    use = code(lines, "python") if lines else f"The base is `{base}`, whose own code loads this."
    return write_card(
        run,
        head,
        [
            f"# {_title(run)}",
            _first_words(known, base, lora),
            section("Before and after", _pictures(seen, run)),
            section("What it gains", _gains(seen), seen.measured_by),
            section(
                "Use", use, "It answers to no trigger word: prompts are written as for the base."
            ),
            section("Data", _data_table(known.data), _shares(known.data)),
            section("Training", _settings(known), _end(known)),
            section("Lineage", _lineage(known), _rounds(seen)),
            section("Warnings", "\n".join(f"- {plain(text)}" for text in _warnings(known, seen))),
            section("Licences", _licences(known, base, licence)),
            f"Made with sipo {__version__}.",
        ],
    )


def _title(run: Path) -> str:
    from sipo.train.monitor.trackers import run_name

    return plain(run_name(run))


def _is_on_hub(base: str) -> bool:
    """By its form: owner/name, and no folder here."""
    return "/" in base and not (Path(base).exists() or is_part(base) or is_embedded(base))


def _tags(known: RunFacts, pipeline: str | None, lora: bool) -> list[str]:
    kind = "text-to-video" if known.makes_clips else "text-to-image"
    tags = [kind, "diffusers", "diffusers-training", *FAMILY_TAGS.get(pipeline or "", ())]
    tags += ["lora", "template:sd-lora"] if lora else []
    return [*tags, "preference-optimization", "sipo", str(known.settings.get("objective"))]


def _first_words(known: RunFacts, base: str, lora: bool) -> str:
    what = "A LoRA of" if lora else "All weights of"
    pairs = sum(one.pairs for one in known.data)
    learnt = f", on {pairs} pairs chosen by {_named(known)}" if pairs else ""
    return (
        f"{what} `{public_name(base)}`, trained by preferences with the objective "
        f"`{known.settings.get('objective')}`{learnt}."
    )


def _named(known: RunFacts) -> str:
    return ", ".join(f"`{name}`" for name in known.judges) or "a judge"


def _pictures(seen: Evaluation, run: Path) -> str:
    if seen.pictures:
        rows = [
            (
                plain(one.prompt),
                _shown(one.before, f"before: {one.prompt}"),
                _shown(one.after, f"after: {one.prompt}"),
            )
            for one in seen.pictures
        ]
        note = "The same noise on both sides; prompts taken evenly from the suite, without looking."
        return f"{table(('prompt', 'before', 'after'), rows)}\n\n{note}"
    sheets = sorted((run / FOLDER).glob("step-*.png"), key=lambda p: int(p.stem.partition("-")[2]))
    if not sheets:
        return ""
    ends = [sheets[0], sheets[-1]] if len(sheets) > 1 else sheets
    names = [sheet.stem.replace("-", " ") for sheet in ends]
    shown = [
        _shown(f"{FOLDER}/{sheet.name}", f"validation, {name}")
        for sheet, name in zip(ends, names, strict=True)
    ]
    return f"{table(names, [shown])}\n\nThe same prompts and noise in validation at both steps."


def _shown(file: str, text: str) -> str:
    return f"![{plain(text)}]({file})"


def _gains(seen: Evaluation) -> str:
    return table(("", "before", "after", "gain", "95 % interval"), seen.gains)


def _data_table(data: Sequence[Data]) -> str:
    head = ("folder", "pairs", "candidates", "prompts", "from", "judge", "paired")
    rows: list[tuple[object, ...]] = []
    for one in data:
        config = one.config
        if config is None:
            rows.append((f"`{one.name}`", *["?"] * 6))
            continue
        source = f"imported ({config.import_.format})" if config.import_ else config.backbone.name
        paired = f"{config.policy}, margin {config.margin:g}"
        counts = one.pairs, one.candidates, config.prompts.count
        rows.append((f"`{one.name}`", *counts, source, config.judge.names, paired))
    return table(head, rows)


def _shares(data: Sequence[Data]) -> str:
    if any(one.config is None for one in data):
        return "`?`: the folder was not there when this card was written."
    hashes = [one.config.prompts.sha256 for one in data if one.config and one.config.prompts.sha256]
    return (
        f"sha256 of the prompts: {', '.join(f'`{each[:16]}`' for each in hashes)}."
        if hashes
        else ""
    )


def _settings(known: RunFacts) -> str:
    defaults = {name: field.default for name, field in TrainSettings.model_fields.items()}
    shown: dict[str, object] = {}
    for name, value in known.settings.items():
        changed = name in ALWAYS or value != defaults.get(name)
        if changed and name not in OF_A_RUN and value not in (None, ""):
            shown[f"`{name}`"] = value
    shown["pairs a step"] = known.pairs_per_step
    return facts(shown) + "\n\nAll other settings are the defaults of `sipo-train`."


def _end(known: RunFacts) -> str:
    done = known.summary
    if done is None:
        return ""
    kept = done.policy_of_step
    said = f"{done.steps} steps, {done.pairs_seen} pairs seen ({done.epochs:g} epochs)"
    if kept is not None and kept != done.steps:
        said += f"; this is the policy after step {kept}"
    if done.last and "psi_w" in done.last:
        said += (
            f". At the end the implicit reward of winners was {done.last['psi_w']:+.3f}, of losers "
            f"{done.last['psi_l']:+.3f}; {done.last['implicit_acc']:.0%} of pairs were told apart"
        )
    return f"{said}."


def _lineage(known: RunFacts) -> str:
    if not known.ancestors:
        return ""
    rows = [
        (
            f"`{one.name}`",
            one.objective,
            "?" if one.steps is None else one.steps,
            ", ".join(one.data),
        )
        for one in known.ancestors
    ]
    text = "Training began with the policy of the first row, which began with that of the next."
    return f"{text}\n\n{table(('run', 'objective', 'steps', 'data'), rows)}"


def _rounds(seen: Evaluation) -> str:
    return table(("round", "kept", "Overall", "pairs"), seen.rounds)


def _warnings(known: RunFacts, seen: Evaluation) -> list[str]:
    return [*(known.summary.warnings if known.summary else ()), *seen.warnings]


def _licences(known: RunFacts, base: str, licence: Licence | None) -> str:
    said = str(licence) if licence else f"{UNKNOWN}: its card was not at hand; look there"
    rows: list[tuple[str, str]] = [(f"base `{public_name(base)}`", said)]
    rows += [(f"judge `{name}`", text) for name, text in known.judges.items()]
    rows += [
        (f"pictures of `{one.name}`", "as their source says")
        for one in known.data
        if one.config is not None and one.config.is_import
    ]
    note = (
        "A policy is derived from its base, whose licence goes with it. The judge only chose which "
        "pictures to learn from; none of it is in these weights."
    )
    return f"{table(('of', 'licence'), rows)}\n\n{note}"


def _a_prompt(known: RunFacts) -> str:
    """One that the data have."""
    from sipo.datagen.storage.shard_folder import open_shards

    for text in known.settings.get("data") or ():
        try:
            return open_shards(text).prompts[0].text
        except (ValueError, OSError, IndexError):
            continue
    return "a photo of a dog"

"""`README.md` of a shard folder: the dataset's card, with which `datasets` reads its tars.

It has nothing that config.json, summary.json and the shards do not say, and no path of a machine.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sipo import __version__
from sipo.backbones.loading.about_model import UNKNOWN, Licence, licence_of
from sipo.backbones.loading.names import EMBEDDED
from sipo.common.markdown_card import code, facts, section, table, write_card
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.shard_folder import PROMPTS, ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES, PAIRS, CandidateFacts, Kind, PairFacts
from sipo.datagen.storage.shard_tar import read_fields
from sipo.feedback.judge_licences import judge_licences

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
_MEDIA = {"png": "image", "jpg": "image", "mp4": "video"}


def write_dataset_card(
    folder: ShardFolder,
    summary: Mapping[str, Any],
    licence: Licence | None = None,
    out: Path | None = None,
) -> Path:
    """`summary` is what summary.json has; `licence`, where it is given, is its owner's word."""
    from huggingface_hub import DatasetCardData

    config = folder.config
    known = licence or licence_of_pictures(config)
    pairs = int(summary["pairs"])
    head = DatasetCardData(
        license=known.id if known else UNKNOWN,
        task_categories=[f"text-to-{'video' if config.fps else 'image'}"],
        size_categories=[next((name for most, name in SIZES if pairs < most), "n>1M")],
        tags=["preference", "webdataset", "sipo"],
        license_name=known.name if known else None,
        license_link=known.link if known else None,
        configs=[_reader(PAIRS, default=True), _reader(CANDIDATES)],
        dataset_info=[
            {"config_name": kind, "features": features}
            for kind in (PAIRS, CANDIDATES)
            if (features := features_of(folder, kind))
        ],
    )
    return write_card(
        out or folder.path,
        head,
        [
            f"# Preference pairs {_origin(config)}, judged by {config.judge.names}",
            f"{pairs} pairs of {summary['prompts']} prompts; {summary['candidates']} candidates, "
            f"all of them with their verdicts.",
            section("Read it", code(_READ, "python"), _columns(config)),
            section("Counts", _counts(summary), _left_out(summary)),
            section(
                "Judge", code(json.dumps(config.judge.as_read(), indent=1, sort_keys=True), "json")
            ),
            section(
                "How it was made", _made(config), code(command_of(config), "sh"), _differs(config)
            ),
            section("Licences", _licences(config, known)),
            f"Made with sipo {__version__}.",
        ],
    )


_READ = """from datasets import load_dataset

pairs = load_dataset("this/folder", "pairs", split="train", streaming=True)
first = next(iter(pairs))
print(first["json"]["prompt"]["prompt"], first["json"]["loser"]["verdict"]["reason"])"""


def licence_of_pictures(config: FolderConfig) -> Licence | None:
    """The base's, whose pictures they are; None for those of others, where its card is silent, and
    of a folder, of which config.json has the name alone.
    """
    name = config.backbone.name
    known = not config.is_import and (name in EMBEDDED or "/" in name)
    return licence_of(name) if known else None


def features_of(folder: ShardFolder, kind: Kind) -> list[dict[str, object]]:
    """Of the samples in tars of a kind, as a card's head names them; [] where there are none yet.

    `datasets` cannot guess them: the rows of two samples need not be alike.
    """
    for number in folder.numbers:
        index = folder.pairs(number) if kind == PAIRS else folder.candidates(number)
        samples: Sequence[PairFacts | CandidateFacts] = list(index.samples.values())
        if samples:
            names = list(dict.fromkeys(name for sample in samples for name in sample.members))
            tar = folder.tar(kind, number)
            found: list[dict[str, object]] = [
                {"name": name, "dtype": _type_of(tar, samples, name)} for name in names
            ]
            found += [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]
            return found
    return []


def _type_of(tar: Path, samples: Sequence[PairFacts | CandidateFacts], name: str) -> object:
    kind = name.rpartition(".")[2]
    if kind == "npy":
        from sipo.datagen.storage.latent_files import from_npy  # torch, which a card needs for this

        place = next(one.members[name] for one in samples if name in one.members)
        array = from_npy(read_fields(tar, {"npy": place})["npy"]).numpy()
        return {f"array{array.ndim}_d": {"dtype": str(array.dtype), "shape": list(array.shape)}}
    return _MEDIA.get(kind, "json" if kind == "json" else "binary")


def _reader(kind: Kind, default: bool = False) -> dict[str, object]:
    files: object = [{"split": "train", "path": f"{kind}-*.tar"}]
    return {"config_name": kind, "data_files": files, **({"default": True} if default else {})}


def _origin(config: FolderConfig) -> str:
    if config.import_:
        return f"imported from {config.import_.format}"
    return f"of {config.backbone.name}"


def _columns(config: FolderConfig) -> str:
    picture = config.suffix
    rows = [
        (f"`winner.{picture}`, `loser.{picture}`", "pairs", "the pictures, as they were judged"),
        ("`winner.npy`, `loser.npy`", "pairs", "their latents, as training reads them"),
        ("`json`", "both", "prompt, seeds, verdicts with boxes, complaints and scores"),
        (f"`{picture}`, `latents.npy`", "candidates", "picture and latents"),
    ]
    if config.is_import:
        rows = [row for row in rows if not row[0].startswith(f"`winner.{picture}")]
    if not config.encoded:
        rows = [row for row in rows if "npy" not in row[0] or "latents" in row[0]]
    note = (
        "`pairs-N.safetensors` has the prompts' embeddings. `sipo-train --data` reads the folder."
    )
    return f"{table(('column', 'of', 'what'), rows)}\n\n{note}"


def _counts(summary: Mapping[str, Any]) -> str:
    rows = []
    for tag, scores in {**summary["tags"], "all": summary["overall"]}.items():
        shares = (scores["accuracy"], scores["best_of_n"])
        shown = ("-" if share is None else f"{share:.3f}" for share in shares)
        rows.append((tag, scores["candidates"], scores["pairs"], *shown))
    return table(("tag", "candidates", "pairs", "correct", "best of N"), rows)


def _left_out(summary: Mapping[str, Any]) -> str:
    parts = [
        f"{count} {name.replace('_', ' ')}" for name, count in summary["dropped"].items() if count
    ]
    parts += [f"{count} not judged ({cause})" for cause, count in summary["failures"].items()]
    imported = summary.get("import") or {}
    parts += [f"{count} {cause}" for cause, count in imported.get("dropped", {}).items()]
    return f"Left out: {', '.join(parts)}." if parts else ""


def _made(config: FolderConfig) -> str:
    sampler = config.sampler.as_read() if config.sampler else {}
    return facts(
        {
            "base": f"`{config.backbone.name}`",
            "weights that sampled": _hash(config.backbone.weights_sha256),
            "prompts": f"`{PROMPTS}`, {_hash(config.prompts.sha256)}",
            "sampler": ", ".join(f"{k} {v}" for k, v in sampler.items() if v is not None) or None,
            "number format": config.dtype,
            "paired": f"{config.policy}, margin {config.margin:g}, at most "
            f"{config.max_pairs_per_prompt} of a prompt",
            "rows read of the source": config.rows if config.is_import else None,
        }
    )


def _hash(sha256: str | None) -> str | None:
    return sha256 and f"sha256 `{sha256[:16]}`"


def command_of(config: FolderConfig) -> str:
    """What makes such a folder, from what config.json keeps: its prompts lie in it."""
    words: dict[str, object] = {}
    if config.import_:
        start = f"sipo-data import {config.import_.format} SOURCE"
        words["resolution"] = config.import_.resolution
        words["width"], words["frames"] = config.import_.width, config.import_.frames
        words["backbone"] = config.backbone.name if config.encoded else None
    else:
        start = "sipo-data generate"
        words |= {"backbone": config.backbone.name, "prompts": PROMPTS, "judge": config.judge.names}
        words |= {"candidates": config.candidates, "seed": config.seed}
        words |= config.sampler.as_read() if config.sampler else {}
        words |= {"prompts-per-shard": config.prompts_per_shard, "policy": config.policy}
        words |= {"margin": config.margin, "max-pairs-per-prompt": config.max_pairs_per_prompt}
        words |= {"dtype": config.dtype, "quantize": config.quantize}
    given = {name: value for name, value in words.items() if value is not None and value != "no"}
    options = [f"--{name} {shlex.quote(str(value))}" for name, value in given.items()]
    if config.allocate:
        options.append("--allocate")
    return " ".join([start, *options, "--out shards"])


def _differs(config: FolderConfig) -> str:
    said = []
    if not config.is_import:
        said.append(
            "Where the weights that sampled are not the base's own, `--weights` names the policy; "
            "the judge's weights and thresholds are above."
        )
    if config.merged:
        said.append(f"Merged of {len(config.merged)} folders, which differ in seeds and prompts.")
    if config.original:
        said.append(f"First judged by {config.original.judge.names}.")
    return " ".join(said)


def _licences(config: FolderConfig, known: Licence | None) -> str:
    unknown = f"{UNKNOWN}: "
    if config.is_import:
        said = str(known) if known else f"{unknown}as the source says"
        rows = [("pictures and prompts", said)]
    else:
        said = str(known) if known else f"{unknown}look at the card of `{config.backbone.name}`"
        rows = [(f"pictures, by `{config.backbone.name}`", said)]
    rows += [(f"judge `{n}`", text) for n, text in judge_licences(config.judge.as_read()).items()]
    return table(("of", "licence"), rows)

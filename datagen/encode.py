"""Latents and text embeddings for imported pairs: what training reads, without VAE and encoders.

A shard is rewritten whole, pictures and verdicts as they are. Stopped anywhere, the same command
goes on with the shards that have no latents yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone
from sipo.common.devices import find_device
from sipo.common.files.strict_json import load_json
from sipo.common.pictures.picture import Clip, Picture, from_bytes
from sipo.common.pictures.tensors import to_tensor
from sipo.datagen.generation.config import PACKAGES, described, named
from sipo.datagen.generation.run import finish, pairs_hold, state_of
from sipo.datagen.generation.sampling import batches
from sipo.datagen.generation.shard_stages import (
    candidate_sample,
    embed_prompts,
    has_embeddings,
    pair_candidates,
    to_npy,
    write_candidates,
)
from sipo.datagen.generation.types import Judged
from sipo.datagen.looking.review import carry_decisions
from sipo.datagen.storage.backbone_places import remember
from sipo.datagen.storage.shard_folder import (
    CANDIDATES,
    ShardFolder,
    of_the_same,
    only_writer,
    open_folder,
    refuse_difference,
)
from sipo.datagen.storage.shards import TarSample, read_fields, scan
from sipo.feedback.rule.verdict import failed_verdict

_Kept = tuple[Judged, bytes]
"""A candidate with the bytes of its picture."""


def encode_folder(
    path: str | Path,
    name: str = "mini-sd",
    batch_size: int = 8,
    dtype: str = "float32",
    device: str = "auto",
    backbone: Backbone | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Encode an imported folder, or go on; returns what `summary.json` says.

    Raises ValueError for a folder that was sampled, or encoded for another backbone or otherwise.
    """
    folder = open_folder(path)
    if "import" not in folder.config:
        raise ValueError(f"{path} was sampled with its latents; encode is for imported folders")
    on = find_device(device)
    if folder.encoded and backbone is None:
        known = {"backbone": {"name": named(name)}, "batch_size": batch_size}
        known |= {"dtype": dtype, "device": on.type}
        refuse_difference(folder.path, of_the_same(folder.config, known), known)
    if backbone is None:
        backbone = load_backbone(name, dtype=dtype)
        backbone.to(on)
    encoding = _encoding(folder, backbone, batch_size, dtype, on.type)
    if folder.encoded:
        refuse_difference(folder.path, {key: folder.config[key] for key in encoding}, encoding)
    with only_writer(folder.path):
        if not folder.encoded:
            carry_decisions(folder)
        folder = ShardFolder(folder.path, folder.config | encoding)
        folder.write_config()
        remember(folder.path, backbone.name)
        for number in tqdm(range(folder.shards), unit="shard", disable=not progress):
            if state_of(folder, number) == "sample":
                write_candidates(folder, number, _encoded(folder, number, backbone))
            if not has_embeddings(folder, number):
                embed_prompts(folder, number, backbone)
            if not pairs_hold(folder, number):
                pair_candidates(folder, number)
        return finish(folder)


def _encoding(
    folder: ShardFolder, backbone: Backbone, batch_size: int, dtype: str, device: str
) -> dict[str, Any]:
    """What `config.json` says from now on, as if this backbone had sampled."""
    if (backbone.fps is None) != (folder.suffix == "png"):
        makes, holds = ("images", "clips") if backbone.fps is None else ("clips", "images")
        raise ValueError(f"--backbone {backbone.name!r} makes {makes}, {folder.path} holds {holds}")
    asked = folder.config["import"]
    side = asked["resolution"]
    size = {"height": side, "width": asked.get("width", side)}
    clips = {} if asked["frames"] is None else {"frames": asked["frames"]}
    return {
        "backbone": described(backbone),
        "sampler": backbone.default_sampler.model_copy(update=size | clips).model_dump(),
        "batch_size": batch_size,
        "dtype": dtype,
        "device": device,
        "versions": {package: version(package) for package in PACKAGES},
    }


def _encoded(folder: ShardFolder, number: int, backbone: Backbone) -> Iterator[TarSample]:
    """The candidates of a shard with latents. Those that are not finite are a failure."""
    for batch in batches(_kept(folder, number), folder.config["batch_size"]):
        pictures = [from_bytes(data, folder.suffix) for _, data in batch]
        latents = backbone.encode_images(_pixels(pictures)).float().cpu()
        for (judged, data), row in zip(batch, latents, strict=True):
            if not row.isfinite().all():
                verdict = failed_verdict("latents are not finite", judged.verdict.judge)
                judged = replace(judged, verdict=verdict)
            yield candidate_sample(judged, {folder.suffix: data, "latents.npy": to_npy(row)})


def _kept(folder: ShardFolder, number: int) -> Iterator[_Kept]:
    """By a scan of the tar: being rewritten may have left it without index."""
    path = folder.tar(CANDIDATES, number)
    if not path.is_file():
        raise ValueError(f"{path} is missing; import into another --out")
    for key, members in scan(path).items():
        if not {folder.suffix, "json"} <= members.keys():
            raise ValueError(f"{path} lacks a part of {key}; import into another --out")
        fields = read_fields(path, members)
        place = int(key.removeprefix("cand-"))
        yield Judged.from_row(load_json(fields["json"]), place), fields[folder.suffix]


def _pixels(pictures: Sequence[Picture]) -> Tensor:
    """NCHW, of clips NCFHW, float32 in [-1, 1]."""
    return torch.stack([_of_clip(p) if isinstance(p, Clip) else _of_image(p) for p in pictures])


def _of_clip(clip: Clip) -> Tensor:
    return torch.stack([_of_image(frame) for frame in clip.frames], dim=1)


def _of_image(image: Image.Image) -> Tensor:
    return to_tensor(np.array(image.convert("RGB")))

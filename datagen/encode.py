"""Latents and text embeddings for imported pairs: what training reads, without VAE and encoders.

A shard is rewritten whole, pictures and verdicts as they are. Stopped anywhere, the same command
goes on with the shards that have no latents yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from sipo.backbones.base import Backbone
from sipo.backbones.fitting import encode_fitting
from sipo.backbones.registry import load_backbone
from sipo.common.devices import dtype_on, find_device
from sipo.common.files.leases import Leases
from sipo.common.files.url_leases import store_of
from sipo.common.files.urls import near
from sipo.common.ordered_threads import in_order, threads_for
from sipo.common.pictures.picture import Clip, Suffix, from_bytes
from sipo.common.pictures.tensors import to_tensor
from sipo.common.processes import shows_bars
from sipo.common.shared_work import Shared
from sipo.datagen.generation.candidates import candidate_sample, state_of, write_candidates
from sipo.datagen.generation.config import PACKAGES, versions_of
from sipo.datagen.generation.pairs import complete, is_whole, sweep_shard
from sipo.datagen.generation.sampling import batches
from sipo.datagen.generation.types import Judged
from sipo.datagen.storage.decisions import carry_decisions
from sipo.datagen.storage.folder_config import BackboneConfig, ImportConfig, name_of
from sipo.datagen.storage.folder_guard import one_of_the_makers, refuse_difference
from sipo.datagen.storage.folder_summary import FolderSummary, finish
from sipo.datagen.storage.latent_files import to_npy
from sipo.datagen.storage.local_backbones import remember
from sipo.datagen.storage.pair_pictures import picture_in
from sipo.datagen.storage.sample_json import CandidateJson, read_row
from sipo.datagen.storage.shard_folder import ShardFolder, open_folder
from sipo.datagen.storage.shard_index import CANDIDATES
from sipo.datagen.storage.shard_tar import TarSample, read_fields, scan
from sipo.feedback.rule.verdict import failed_verdict


class _Kept(NamedTuple):
    """A candidate and its picture's file."""

    judged: Judged
    suffix: Suffix
    data: bytes


def encode_folder(
    path: str | Path,
    name: str = "mini-sd",
    batch_size: int = 8,
    dtype: str = "auto",
    device: str = "auto",
    backbone: Backbone | None = None,
    progress: bool = True,
) -> FolderSummary:
    """Encode an imported folder, or go on.

    Raises ValueError for a folder that was sampled, or encoded for another backbone or otherwise.
    """
    folder = open_folder(path)
    if (asked := folder.config.import_) is None:
        raise ValueError(f"{path} was sampled with its latents; encode is for imported folders")
    on, begun = find_device(device), folder.config.encoded
    dtype = dtype_on(on, dtype)
    how = {"batch_size": batch_size, "dtype": dtype, "device": on.type}
    if backbone is None:
        if begun:
            early = {"backbone": {"name": name_of(name)}, **how}
            refuse_difference(folder.path, folder.config.as_read(), early, among="asked")
        backbone = load_backbone(name, dtype=dtype)
        backbone.to(on)
    encoding = _encoding(folder, asked, backbone, how)
    if begun:
        refuse_difference(folder.path, folder.config.as_read(), encoding, among="asked")
    with one_of_the_makers(folder.path):
        leases = Leases(store_of(folder.path))
        with leases.beating():
            leases.wait_for("folder", every_s=0.05)
            folder = open_folder(path)  # another process may have begun
            if not folder.config.encoded:
                carry_decisions(folder)
                folder = ShardFolder(folder.path, folder.config.changed(encoding))
                folder.config.write(folder.path)
            remember(folder.path, backbone.name)
            leases.release("folder")
            _encode_shared(folder, backbone, batch_size, leases, progress and shows_bars())
        return finish(folder)


def _encode_shared(
    folder: ShardFolder, backbone: Backbone, batch_size: int, leases: Leases, progress: bool
) -> None:
    whole, tidy = partial(is_whole, folder), partial(sweep_shard, folder)
    work = Shared(folder.numbers, whole, leases, "shard", tidy)
    with tqdm(total=len(work.left), unit="shard", disable=not progress) as bar:

        def make() -> None:
            for number in work.claimed():
                if state_of(folder, number) == "sample":
                    encoded = _encoded(folder, number, backbone, batch_size)
                    write_candidates(folder, number, encoded)
                complete(folder, number, backbone)
                work.made(number)
                bar.update()

        work.until_done(make)


def _encoding(
    folder: ShardFolder, asked: ImportConfig, backbone: Backbone, how: Mapping[str, object]
) -> dict[str, object]:
    """What `config.json` says from now on, as if this backbone had sampled."""
    if (backbone.fps is None) != (folder.config.suffix == "png"):
        makes, holds = ("images", "clips") if backbone.fps is None else ("clips", "images")
        raise ValueError(f"--backbone {backbone.name!r} makes {makes}, {folder.path} holds {holds}")
    size = {"height": asked.resolution, "width": asked.width or asked.resolution}
    clips = {} if asked.frames is None else {"frames": asked.frames}
    return {
        "backbone": BackboneConfig.of(backbone).as_read(),
        "sampler": backbone.default_sampler.model_copy(update=size | clips).model_dump(),
        **how,
        "versions": versions_of(*PACKAGES),
    }


def _encoded(
    folder: ShardFolder, number: int, backbone: Backbone, batch_size: int
) -> Iterator[TarSample]:
    """The candidates of a shard with latents. Those that are not finite are a failure."""
    for batch in _decoded(folder, number, batch_size):
        latents = encode_fitting(backbone, [_pixels(picture) for _, picture in batch])
        for ((judged, suffix, data), _), row in zip(batch, latents, strict=True):
            if not row.isfinite().all():
                verdict = failed_verdict("latents are not finite", judged.verdict.judge)
                judged = replace(judged, verdict=verdict)
            yield candidate_sample(judged, {suffix: data, "latents.npy": to_npy(row)})


def _decoded(
    folder: ShardFolder, number: int, size: int
) -> Iterator[list[tuple[_Kept, NDArray[np.uint8]]]]:
    """The batches of a shard, decoded while the VAE is at those before."""
    kept, threads = _kept(folder, number), max(2, threads_for())
    with closing(in_order(_with_picture, kept, threads, ahead=2 * size)) as read:
        yield from batches(read, size)


def _kept(folder: ShardFolder, number: int) -> Iterator[_Kept]:
    """By a scan of the tar: being rewritten may have left it without index."""
    path = folder.tar(CANDIDATES, number)
    if not path.is_file():
        raise ValueError(f"{path} is missing; import into another --out")
    with near(path):
        for key, members in scan(path).items():
            suffix = picture_in(folder.config, members)
            if suffix is None or "json" not in members:
                raise ValueError(f"{path} lacks a part of {key}; import into another --out")
            picture = read_fields(path, {suffix: members[suffix]})[suffix]
            yield _Kept(Judged.of(read_row(path, members, CandidateJson), key), suffix, picture)


def _with_picture(kept: _Kept) -> tuple[_Kept, NDArray[np.uint8]]:
    """HWC, of a clip FHWC; no tensor, of which every thread would start threads of its own."""
    picture = from_bytes(kept.data, kept.suffix)
    if isinstance(picture, Clip):
        return kept, np.stack([np.asarray(frame) for frame in picture.frames])
    return kept, np.array(picture)


def _pixels(picture: NDArray[np.uint8]) -> Tensor:
    """CHW, of a clip CFHW, float32 in [-1, 1]."""
    pixels = to_tensor(picture)
    return (pixels.transpose(0, 1) if pixels.ndim == 4 else pixels).contiguous()

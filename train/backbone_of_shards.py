"""The base model that pairs are of, where --backbone does not say it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from sipo.backbones.base import Identity
from sipo.backbones.loading.names import EMBEDDED, is_part
from sipo.backbones.loading.unread import unread
from sipo.backbones.registry import load_backbone
from sipo.datagen.storage.local_backbones import places, recall


def backbone_of(shards: Path, meta: Mapping[str, object]) -> str:
    """An embedded name or hub id as the shards say it; a local folder where it is now.

    A folder counts only with the weights that the shards name by their hash, so a namesake is not
    taken for it. Raises ValueError that says where it was looked for.
    """
    name, typed = str(_identity(meta)["name"]), recall(shards)
    if not typed and (name in EMBEDDED or "/" in name or is_part(name)):
        return name
    looked = places(shards, typed.get("backbone", name))
    weights = places(shards, typed["weights"]) if "weights" in typed else [None]
    found = [path for path in looked if (path / "model_index.json").is_file()]
    for path in found:
        if any(_sampled(path, policy, meta) for policy in weights):
            return str(path)
    where = ", ".join(repr(str(path)) for path in looked)
    but = "which has other weights" if found else "which is not there"
    if found and not any(policy is None or policy.is_dir() for policy in weights):
        but = f"which is told only with the policy {typed['weights']!r} on it, which is not there"
    raise ValueError(
        f"--backbone is missing: the shards were sampled from a local folder named {name!r}, "
        f"{but} (looked at {where}); give its path"
    )


def _sampled(folder: Path, policy: Path | None, meta: Mapping[str, object]) -> bool:
    """Whether this model, with the policy's weights on it, has the hash in the shards."""
    if policy is not None and not policy.is_dir():
        return False
    try:  # as for sampling: the dtype is in the hash
        dtype, bits = str(meta["dtype"]), str(meta["quantize"])
        with unread():
            model = load_backbone(str(folder), policy, True, dtype, bits)
    except (OSError, ValueError, KeyError):
        return False
    return model.weights_sha256() == _identity(meta).get("weights_sha256")


def _identity(meta: Mapping[str, object]) -> Identity:
    return cast(Identity, meta["backbone"])

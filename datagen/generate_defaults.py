"""`sipo-data generate` where little is said: what the model's `defaults.json` says goes under it.

What a folder was begun with goes before what the model's file says by now.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from sipo.backbones.model_defaults import (
    Completed,
    Layer,
    defaults_of,
    sampler_layer,
    section_layer,
)
from sipo.common.files.urls import place_of
from sipo.datagen.settings import GenerateSettings

Settings = TypeVar("Settings", bound=GenerateSettings)
DECIDES = {
    "num_prompts",
    "candidates",
    "allocate",
    "prompts_per_shard",
    "policy",
    "margin",
    "max_pairs_per_prompt",
}
"""What a model's file may say."""


def model_layer(backbone: str) -> Layer:
    """What the model's file says of `generate`. Raises ValueError that names the file."""
    found, file = defaults_of(backbone)
    return section_layer(file, found.generate, DECIDES.__contains__, GenerateSettings)


def complete(
    said: Mapping[str, object], backbone: str | None = None
) -> Completed[GenerateSettings]:
    """`backbone` is the name of one that is loaded. Raises ValueError for what cannot be met."""
    return complete_as(GenerateSettings, said, backbone)


def complete_as(
    model: type[Settings], said: Mapping[str, object], backbone: str | None = None
) -> Completed[Settings]:
    """The same with what another command is asked besides."""
    fields = GenerateSettings.model_fields
    name = str(backbone or said.get("backbone") or fields["backbone"].default)
    layer = model_layer(name).under(said)
    if said.get("prompts"):  # all of a file
        layer = layer.under(["num_prompts"])
    begun = _as_begun(place_of(str(said.get("out") or fields["out"].default)), layer)
    told = sampler_layer(name).under(said).over(layer) if begun is None else begun
    values = (begun or layer).values
    return Completed(model.model_validate({**values, **said}), told.told)


def _as_begun(out: Path, layer: Layer) -> Layer | None:
    """Of a folder that is gone on with what it says itself; None of a new one."""
    from sipo.datagen.storage.folder_config import FILE, FolderConfig
    from sipo.datagen.storage.shard_folder import ShardFolder

    if not layer.values or not (out / FILE).is_file():
        return None
    folder = ShardFolder(out, FolderConfig.read(out))
    if not folder.begun or folder.config.is_import:
        return None
    config = folder.config
    has = {**dict(config), "num_prompts": (config.prompts.count or 0) + config.prompts.repeated}
    return Layer({name: has[name] for name in layer.values}, out / FILE)

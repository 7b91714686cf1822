"""Pixels of NaN are looked for where they are made: a marked picture, in memory and in its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from not_finite import break_vae, breaks_on
from tiny_video import tiny_cogvideox, tiny_wan

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone
from sipo.common.pictures.faults import fault_of
from sipo.common.pictures.picture import (
    as_kept,
    fault_in,
    from_bytes,
    read_clip,
    read_image,
    to_bytes,
)

SEEDS = list(range(6))
PIXELS = "pixels are not finite"


def test_pictures_of_nan_are_marked(
    tiny_backbone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_vae(tiny_backbone, monkeypatch)
    made = tiny_backbone.sample(["a cat"] * 6, SEEDS, tiny_backbone.default_sampler)
    faults = [fault_of(sample.image) for sample in made]
    # The VAE sees the latents divided by a positive number.
    assert faults == [PIXELS if breaks_on(sample.latents) else None for sample in made]
    assert {PIXELS, None} == set(faults)
    for number, (sample, fault) in enumerate(zip(made, faults, strict=True)):
        content = to_bytes(sample.image)
        (path := tmp_path / f"{number}.png").write_bytes(content)
        assert fault_in(from_bytes(content, "png")) == fault_of(read_image(path)) == fault


def test_latents_of_nan_are_named_as_such(tiny_backbone: Backbone) -> None:
    latents = torch.zeros(2, 4, 8, 8)
    latents[1, 0, 0, 0] = torch.inf
    faults = [fault_of(image) for image in tiny_backbone.decode_latents(latents)]
    assert faults == [None, "latents are not finite"]


@pytest.mark.parametrize("make", [tiny_cogvideox, tiny_wan])
def test_clips_of_nan_are_marked(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone: Any = load_backbone(str(make(tmp_path)))
    [sound] = backbone.sample(["a cat"], [0], backbone.default_sampler)
    decode = backbone._decode
    monkeypatch.setattr(backbone, "_decode", lambda latents: decode(latents) * torch.nan)
    [broken] = backbone.sample(["a cat"], [0], backbone.default_sampler)
    for sample, fault in [(sound, None), (broken, PIXELS)]:
        clip = as_kept(sample.image, sample.frames, backbone.fps)
        assert fault_in(clip) == fault_in(read_clip(to_bytes(clip))) == fault

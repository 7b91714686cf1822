"""A denoiser left in its files has the values that `from_pretrained` reads, and no memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import tiny_pipeline
from tiny_chroma import tiny_chroma
from tiny_flux import tiny_flux
from tiny_sana import tiny_sana
from tiny_sd3 import tiny_sd3
from tiny_sdxl import tiny_sdxl
from tiny_video import tiny_cogvideox, tiny_wan
from tiny_z_image import tiny_z_image

from sipo.backbones.loading.unread import Values, copied, is_unread, unread, unread_of
from sipo.backbones.registry import load_backbone

pytestmark = pytest.mark.filterwarnings(
    "ignore:.FluxPosEmbed. is deprecated:FutureWarning",  # diffusers of its own Chroma
)
MADE = {"sd": tiny_pipeline, "flux": tiny_flux, "sd3": tiny_sd3, "wan": tiny_wan}
MADE |= {"chroma": tiny_chroma, "cogvideox": tiny_cogvideox, "sana": tiny_sana}
MADE |= {"sdxl": tiny_sdxl, "z_image": tiny_z_image}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", MADE)
def test_values_are_those_of_from_pretrained(tmp_path: Path, family: str, dtype: str) -> None:
    folder = str(MADE[family](tmp_path / family))
    whole = load_backbone(folder, denoiser_only=True, dtype=dtype)
    with unread():
        left = load_backbone(folder, denoiser_only=True, dtype=dtype)
    assert unread_of(left.denoiser) is not None
    there, values = whole.denoiser.state_dict(), Values(left.denoiser)
    assert there.keys() == values.keys()
    for name, value in there.items():
        assert torch.equal(value, values[name]), name
        assert value.dtype == values[name].dtype
    for name, buffer in whole.denoiser.named_buffers():
        assert torch.equal(buffer, left.denoiser.get_buffer(name)), name
    assert all(is_unread(p) for p in copied(left.denoiser).parameters())
    assert whole.weights_sha256() == left.weights_sha256()

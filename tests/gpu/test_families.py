"""Every family on the card: bf16 there against float32 on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import makers
import numpy as np
import pytest
import torch
from sampled_pairs import SampledPairs

from sipo.backbones.base import Backbone, Generated
from sipo.backbones.placement import place
from sipo.backbones.registry import load_backbone

pytestmark = pytest.mark.filterwarnings(
    "ignore:.FluxPosEmbed. is deprecated:FutureWarning"  # diffusers of its own Chroma
)
BOUND = 0.1  # of the largest value, as in tests/backbones
LEVELS = 8  # of 255: a picture in float32, with TF32, on the card and on the CPU

Record = Callable[[str, object], None]


@pytest.fixture(params=makers.ALL)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(makers.ALL[request.param](tmp_path / request.param))


def test_half_precision_predicts_alike(
    folder: str, card: torch.device, record_property: Record
) -> None:
    exact = load_backbone(folder)
    half = load_backbone(folder, denoiser_only=True, dtype="bfloat16")
    half.to(card)
    [record] = SampledPairs(exact, ["a red cat"]).records
    noisy, prompt = record.winner[None], {k: v[None] for k, v in record.conditioning.items()}
    timesteps = torch.tensor([exact.num_train_timesteps // 2])
    with torch.no_grad():
        ours = exact.predict(exact.denoiser, noisy, timesteps, prompt)
        moved = {name: value.to(card) for name, value in prompt.items()}
        theirs = half.predict(half.denoiser, noisy.to(card), timesteps.to(card), moved)
    apart = float((theirs.float().cpu() - ours).abs().max() / ours.abs().max())
    record_property("deviation", apart)
    assert apart <= BOUND


def test_pictures_are_those_of_the_cpu(
    folder: str, card: torch.device, record_property: Record
) -> None:
    """Noise is drawn on the CPU, so that devices agree."""
    [there], [here] = (sampled(folder, device) for device in (card, torch.device("cpu")))
    apart = difference(there, here)
    record_property("levels", apart)
    assert apart <= LEVELS


def test_offloaded_pictures_are_the_same(folder: str, card: torch.device) -> None:
    if card.type == "cpu":
        pytest.skip("offloading is for a card")
    [moved], [whole] = (sampled(folder, card, offload) for offload in (True, False))
    assert difference(moved, whole) <= 1


def test_half_precision_samples_something(folder: str, card: torch.device) -> None:
    for sample in sampled(folder, card, dtype="bfloat16"):
        assert sample.latents.isfinite().all()


def sampled(
    folder: str, device: torch.device, offload: bool = False, dtype: str = "float32"
) -> list[Generated]:
    backbone: Backbone = load_backbone(folder, dtype=dtype)
    place(backbone, device, offload)
    return backbone.sample(["a red cat"], [0], backbone.default_sampler)


def difference(one: Generated, other: Generated) -> float:
    """Mean over pixels of two pictures' (first frames') levels."""
    a, b = (np.asarray(made.image, np.float32) for made in (one, other))
    return float(np.abs(a - b).mean())

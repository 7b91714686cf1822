"""Qwen-Image and 2.1: padding, normalised latents, guidance, limits of text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import makers
import pytest
import torch
from alike import assert_same_values
from torch import Tensor

from sipo.backbones.base import Sampler
from sipo.backbones.images.qwen_image import TEXT_TOKENS, without_padding
from sipo.backbones.registry import load_backbone
from sipo.backbones.text_limits import limit_of, lost_words

NAMES = ("qwen_image", "qwen_image_21")
TEXTS = ["a red cat", "two dogs", "a red bus"]
T = torch.tensor([10, 500, 900])


@pytest.fixture(scope="module", params=NAMES)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("qwen") / request.param
    return load_backbone(str(makers.IMAGES[request.param](folder)))


@pytest.fixture(scope="module")
def qwen_image(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_backbone(str(makers.IMAGES["qwen_image"](tmp_path_factory.mktemp("qwen") / "1")))


@pytest.fixture
def qwen_image_21(tmp_path: Path) -> Any:
    return load_backbone(str(makers.IMAGES["qwen_image_21"](tmp_path / "21")))


def noise(backbone: Any, rows: int = len(TEXTS)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, 4, 4, 2, generator=generator)


@torch.no_grad()
def test_what_stands_in_the_padding_is_not_heard(backbone: Any) -> None:
    """Neither it nor the other prompts of a batch, whose lengths differ."""
    given, noisy = backbone.encode_prompts(TEXTS), noise(backbone)
    together = backbone.predict(backbone.denoiser, noisy, T, given)
    for row in range(len(TEXTS)):
        own = {name: value[row, None].clone() for name, value in given.items()}
        own["encoder_hidden_states"][~own["encoder_hidden_states_mask"]] = 7.0
        alone = backbone.predict(backbone.denoiser, noisy[row, None], T[row, None], own)
        assert_same_values(alone[0], together[row])


def test_padding_is_cut_to_the_longest_and_the_mask_where_it_says_nothing(backbone: Any) -> None:
    given = backbone.encode_prompts(TEXTS)
    assert given["encoder_hidden_states"].shape[1] == TEXT_TOKENS
    lengths = given["encoder_hidden_states_mask"].sum(1)
    assert lengths[0] == lengths[2] == lengths[1] + 1
    text, mask = without_padding(given)
    assert mask is not None
    assert mask.shape == text.shape[:2] == (3, lengths[0])
    text, mask = without_padding({name: value[::2] for name, value in given.items()})
    assert (text.shape[1], mask) == (lengths[0], None)


def test_latents_are_normalised_by_channel(backbone: Any) -> None:
    """By hand, and back again."""
    vae, noisy = backbone.pipeline.vae, noise(backbone)
    mean, std = torch.tensor([0.1, -0.2, 0.3, -0.4]), torch.tensor([0.5, 1.5, 2.0, 0.8])
    by_channel = noisy[:, :, None]
    raw = backbone._unscaled(by_channel)
    assert_same_values(raw[0, :, 0], noisy[0] * std[:, None, None] + mean[:, None, None])
    assert_same_values(backbone._scaled(raw), by_channel)
    pixels = torch.rand(1, 3, 32, 32) * 2 - 1
    seen = torch.cat([pixels, torch.ones(1, 1, 32, 32)], dim=1)[
        :, : vae.encoder.conv_in.in_channels
    ]
    with torch.no_grad():
        encoded = vae.encode(seen[:, :, None]).latent_dist.mean[0, :, 0]
    ours = backbone.encode_images(pixels)[0]
    assert_same_values(ours, (encoded - mean[:, None, None]) / std[:, None, None])


def test_guidance_keeps_the_length_of_every_token(qwen_image: Any) -> None:
    with_prompt, without = noise(qwen_image).chunk(2, dim=2)
    guided = qwen_image.guided(without, with_prompt, 4.0)
    plain = without + 4 * (with_prompt - without)
    for made, asked, mixed in zip(guided, with_prompt, plain, strict=True):  # one token each
        assert_same_values(made, mixed * asked.norm() / mixed.norm())


def test_guidance_of_one_asks_once(backbone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    handle = backbone.denoiser.register_forward_hook(lambda *_: calls.append(1))
    for guidance, asked in ((1.0, 2), (2.0, 4)):
        calls.clear()
        update = {"guidance": guidance, "steps": 2}
        backbone.sample(["a cat"], [0], backbone.default_sampler.model_copy(update=update))
        assert len(calls) == asked
    handle.remove()


@torch.no_grad()
def test_words_that_are_not_heard_are_named(qwen_image: Any) -> None:
    assert limit_of(qwen_image.pipeline) == TEXT_TOKENS
    long = "a" * TEXT_TOKENS
    assert list(lost_words(qwen_image.pipeline, ["a cat", long + "bcd"])) == [1]
    same = [
        qwen_image.encode_prompts([text])["encoder_hidden_states"] for text in (long, long + "b")
    ]
    assert torch.equal(*same)


def test_a_text_that_cannot_be_kept_is_refused(qwen_image_21: Any) -> None:
    with pytest.raises(
        ValueError, match=r"'bb.* tokens with its template, and 512 are kept .*short"
    ):
        qwen_image_21.encode_prompts(["a cat", "b" * TEXT_TOKENS])


def test_several_processes_do_not_wait_for_one_another(
    qwen_image_21: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, noisy = qwen_image_21.encode_prompts(TEXTS), noise(qwen_image_21)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match=r"different lengths in one batch .*--train_batch_size 1"):
        qwen_image_21.predict(qwen_image_21.denoiser, noisy, T, given)
    same = {name: value[::2] for name, value in given.items()}
    qwen_image_21.predict(qwen_image_21.denoiser, noisy[::2], T[::2], same)


def test_levels_of_a_checkpoint_are_for_their_number_of_steps(qwen_image_21: Any) -> None:
    pipeline, own = qwen_image_21.pipeline, [1.0, 0.7, 0.2]
    pipeline.register_to_config(sample_sigmas=own)
    again = type(qwen_image_21).from_pipeline("own", pipeline)
    assert again.default_sampler == Sampler(steps=3, guidance=1.0)
    pipeline.scheduler.register_to_config(use_dynamic_shifting=False, shift=1.0)
    for steps, levels in ((3, own), (4, [1.0, 0.75, 0.5, 0.25])):
        [made] = again.sample(
            ["a cat"], [0], Sampler(steps=steps, guidance=1.0, height=32, width=64)
        )
        sigmas = pipeline.scheduler.sigmas[:-1].double()
        assert torch.equal(again.noise_levels(steps, made.latents.shape), sigmas)
        assert len(sigmas) == len(levels)

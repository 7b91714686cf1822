"""Every image family against diffusers' own pipeline, on tiny real ones."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import makers
import numpy as np
import pytest
import torch
from alike import assert_other_picture, assert_same_picture, assert_same_values, deviation
from PIL import Image
from sampled_pairs import SampledPairs
from schedules import check_calibration, check_round_trips, check_weight
from tiny import SIZE_PX
from tiny_flux import tiny_flux
from torch import Tensor

from sipo.backbones.base import Sampler
from sipo.backbones.images.sdxl import StableDiffusionXL
from sipo.backbones.registry import load_backbone
from sipo.train.settings import make_settings
from sipo.train.trainer import train

pytestmark = [
    pytest.mark.filterwarnings(said)
    for said in (
        "ignore:__array__ implementation:DeprecationWarning",  # numpy 2 of EulerDiscreteScheduler
        "ignore:.FluxPosEmbed. is deprecated:FutureWarning",  # diffusers of its own Chroma
    )
]

TEXTS = ["a red cat", "two dogs"]
GUIDANCE = 3.5
UNGUIDED = {"z_image": 0.0}
GUIDED_BY_INPUT = ("flux", "flux2")
FROM_0 = ("sd1", "sd2", "sdxl")  # count timesteps from 0; flow's denoiser is told T sigma = t + 1


@dataclass(frozen=True)
class Family:
    name: str
    folder: Path
    backbone: Any
    sampler: Sampler
    pairs: SampledPairs

    def plain(self, pipeline: Any, text: str, seed: int) -> Any:
        """diffusers' image, asked as anyone would."""
        pipeline.set_progress_bar_config(disable=True)
        sampler = self.sampler
        own: dict[str, Any] = {"guidance_scale": sampler.guidance}
        if self.name == "sana":
            own["use_resolution_binning"] = False
        if self.name.startswith("qwen"):
            own = {"true_cfg_scale": sampler.guidance, "negative_prompt": " "}
        image = pipeline(
            prompt=text,
            generator=torch.Generator().manual_seed(seed),
            num_inference_steps=sampler.steps,
            height=sampler.height,
            width=sampler.width,
            **own,
        ).images[0]
        return on_white(image) if image.mode == "RGBA" else image


@pytest.fixture(scope="module", params=makers.IMAGES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    name = request.param
    folder = makers.IMAGES[name](tmp_path_factory.mktemp("family") / name)
    backbone: Any = load_backbone(str(folder))
    pairs = SampledPairs(backbone, TEXTS)
    return Family(name, folder, backbone, backbone.default_sampler, pairs)


@dataclass(frozen=True)
class Step:
    """What a pipeline gave its scheduler; `noisy` as the denoiser got it."""

    output: Tensor
    timestep: Tensor
    noisy: Tensor
    sigma: Tensor


def steps_of(family: Family, guidance: float, patch: pytest.MonkeyPatch) -> list[Step]:
    """The pipeline's own denoising loop over TEXTS."""
    backbone, scheduler, steps = family.backbone, family.backbone.pipeline.scheduler, []
    sampler = family.sampler.model_copy(update={"steps": 3, "guidance": guidance})
    whole = scheduler.step

    def step(output: Tensor, timestep: Tensor, sample: Tensor, **given: Any) -> Any:
        output_, noisy = (backbone._unpacked(x.clone(), sampler) for x in (output, sample))
        if family.name == "sdxl":
            noisy = scheduler.scale_model_input(noisy, timestep)
        steps.append(Step(output_, timestep, noisy, sigma_of(scheduler, timestep)))
        return whole(output, timestep, sample, **given)

    with patch.context() as patched:
        patched.setattr(scheduler, "step", step)
        backbone.sample(TEXTS, [1, 2], sampler)
    return [joined(steps[at::3]) for at in range(3)]


def joined(calls: list[Step]) -> Step:
    """The same step of several calls, as Qwen-Image 2.1 makes one a text."""
    assert len(calls) in (1, len(TEXTS))
    output, noisy = (torch.cat([getattr(c, x) for c in calls]) for x in ("output", "noisy"))
    return Step(output, calls[0].timestep, noisy, calls[0].sigma)


def sigma_of(scheduler: Any, timestep: Tensor) -> Tensor:
    """The scheduler's; b_t / a_t where it has none (DDIM)."""
    if not hasattr(scheduler, "sigmas"):
        alpha = scheduler.alphas_cumprod[timestep]
        return torch.as_tensor((1 / alpha - 1) ** 0.5)
    if scheduler.step_index is None:
        scheduler._init_step_index(timestep)
    return torch.as_tensor(scheduler.sigmas[scheduler.step_index])


@pytest.fixture(scope="module")
def guided(family: Family) -> tuple[list[Step], Any]:
    """The steps, and the scheduler after them."""
    with pytest.MonkeyPatch.context() as patch:
        steps = steps_of(family, GUIDANCE, patch)
    return steps, deepcopy(family.backbone.pipeline.scheduler)


def told(family: Family, step: Step) -> Tensor:
    """The convention's timesteps of a step."""
    offset = 0 if family.name in FROM_0 else 1
    return (step.timestep - offset).expand(len(TEXTS))


@torch.no_grad()
def test_predictions_are_the_pipelines(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = family.backbone
    conditioning = backbone.encode_prompts(TEXTS)
    guidance = UNGUIDED.get(family.name, 1.0)
    for step in steps_of(family, guidance, monkeypatch):
        ours = backbone.predict(backbone.denoiser, step.noisy, told(family, step), conditioning)
        assert_same_values(ours, step.output)


@torch.no_grad()
def test_both_halves_of_guidance_are_the_pipelines(
    family: Family, guided: tuple[list[Step], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """u + g (c - u), Z-Image c + g (c - u), Qwen-Image rescaled; FLUX is told g."""
    backbone, guidance = family.backbone, GUIDANCE
    conditioning, empty = backbone.encode_prompts(TEXTS), backbone.encode_prompts(["", ""])
    for step in guided[0]:
        arguments = (step.noisy, told(family, step))
        if family.name in GUIDED_BY_INPUT:
            monkeypatch.setattr(backbone, "guidance", guidance)
            ours = backbone.predict(backbone.denoiser, *arguments, conditioning)
        else:
            with_prompt, without = (
                backbone.predict(backbone.denoiser, *arguments, c) for c in (conditioning, empty)
            )
            ours = backbone.guided(without, with_prompt, backbone.guidance_scale(guidance))
        assert_same_values(ours, step.output)


def test_the_schedulers_step_follows_the_convention(
    family: Family, guided: tuple[list[Step], Any]
) -> None:
    """From x_t with the exact target each step lands on the exact x_s, the last on the clean end.

    SDXL's own scheduler holds x_t / a_t and starts from pure noise; it is asked to noise instead.
    """
    backbone, (steps, scheduler) = family.backbone, guided
    x0, noise = torch.randn(2, *steps[0].noisy.shape, generator=torch.Generator().manual_seed(0))
    rewind(scheduler)
    if family.name == "sdxl":
        for step in steps:
            t, scale = step.timestep.long().expand(2), (step.sigma**2 + 1) ** 0.5
            theirs = scheduler.add_noise(x0, noise, step.timestep.expand(2)) / scale
            assert_same_values(backbone.add_noise(x0, noise, t), theirs)
            snr = step.sigma.double() ** -2
            torch.testing.assert_close(backbone.snr(t), snr.expand(2), rtol=1e-5, atol=0)
        return
    flow = backbone.prediction == "flow"
    t = [
        torch.full((2,), float(step.sigma) * 1000 - 1) if flow else step.timestep.expand(2)
        for step in steps
    ]
    states = [backbone.add_noise(x0, noise, at) for at in t]
    end = x0 if flow else backbone.add_noise(x0, noise, torch.zeros_like(t[0]))  # DDIM's last
    for state, at, step, expected in zip(states, t, steps, [*states[1:], end], strict=True):
        exact = backbone.target(x0, noise, at)
        landed = scheduler.step(exact, step.timestep, state, return_dict=False)[0]
        assert_same_values(landed, expected)
        sigma = step.sigma.double()
        snr = (1 / sigma - 1) ** 2 if flow else sigma**-2
        torch.testing.assert_close(backbone.snr(at)[0], snr, rtol=1e-4, atol=1e-9)


def test_its_schedule_round_trips_and_gives_the_gaussians_weight(family: Family) -> None:
    check_round_trips(family.backbone)
    check_weight(family.backbone)


def test_it_calibrates(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    check_calibration(family.backbone, family.pairs, monkeypatch)


def test_a_sample_is_the_plain_pipelines(family: Family) -> None:
    plain = family.backbone.pipeline_class.from_pretrained(family.folder)
    ours, other = (family.backbone.sample(["a red cat"], [seed], family.sampler) for seed in (7, 8))
    theirs = family.plain(plain, "a red cat", 7)
    assert_same_picture(ours[0].image, theirs)
    assert_other_picture(other[0].image, theirs)


def test_a_candidate_does_not_depend_on_its_batch(family: Family) -> None:
    """The winners were sampled together."""
    for pair in family.pairs.records:
        [alone] = family.backbone.sample([pair.text], [0], family.sampler)
        torch.testing.assert_close(alone.latents, pair.winner, rtol=1e-4, atol=1e-4)


def test_the_kept_latents_decode_to_the_image(family: Family) -> None:
    sample, other = family.pairs.winners[0], family.pairs.losers[0]
    decoded, *_ = family.backbone.decode_latents(
        torch.stack([winner.latents for winner in family.pairs.winners])
    )
    assert_same_picture(sample.image, decoded)
    assert_other_picture(other.image, decoded)
    sampler = family.sampler
    assert decoded.size == (sampler.width or SIZE_PX, sampler.height or SIZE_PX)
    pixels = torch.from_numpy(np.array(decoded)).permute(2, 0, 1)[None] / 127.5 - 1
    assert family.backbone.encode_images(pixels).shape == (1, *sample.latents.shape)


def test_training_needs_neither_vae_nor_text_encoder(family: Family) -> None:
    whole, alone = family.backbone, load_backbone(str(family.folder), denoiser_only=True)
    latents, conditioning = one_row(family)
    t = torch.tensor([10])
    noisy = whole.add_noise(latents, torch.randn_like(latents), t)
    with torch.no_grad():
        ours, theirs = (b.predict(b.denoiser, noisy, t, conditioning) for b in (alone, whole))
    assert_same_values(ours, theirs)
    assert torch.equal(alone.snr(t), whole.snr(t))


@pytest.mark.parametrize("full", [False, True], ids=["lora", "full"])
def test_what_is_trained_loads_into_plain_diffusers(
    family: Family, tmp_path: Path, full: bool
) -> None:
    """Ours and theirs give the same image, which is another than before."""
    settings = make_settings(
        {"max_train_steps": 3, "train_batch_size": 1, "rank": 2, "full": full, "out": str(tmp_path)}
        | {"learning_rate": 0.05, "report_to": "none", "mask": False, "checkpointing_steps": 9}
        | {"gradient_checkpointing": full}
    )
    train(settings, load_backbone(str(family.folder), denoiser_only=True), family.pairs)
    tuned = load_backbone(str(family.folder), weights=tmp_path)
    [ours] = tuned.sample(["a red cat"], [0], family.sampler)
    kind, folder = family.backbone.pipeline_class, family.backbone.denoiser_folder
    if full:
        denoiser = family.backbone.denoiser_class.from_pretrained(tmp_path, subfolder=folder)
        plain = kind.from_pretrained(family.folder, **{folder: denoiser})
    else:
        plain = kind.from_pretrained(family.folder)
        plain.load_lora_weights(tmp_path)
    assert_same_picture(ours.image, family.plain(plain, "a red cat", 0))
    assert_other_picture(ours.image, family.pairs.winners[0].image)
    assert not torch.allclose(ours.latents, family.pairs[0].winner, atol=1e-2)


def test_half_precision(family: Family) -> None:
    """Inputs in float32 are the caller's; the denoiser's own dtype holds sigma = 1/2 exactly."""
    backbone = load_backbone(str(family.folder), denoiser_only=True, dtype="bfloat16")
    latents, conditioning = one_row(family)
    with torch.no_grad():
        half, whole = (
            b.predict(b.denoiser, latents, torch.tensor([499]), conditioning)
            for b in (backbone, family.backbone)
        )
    assert half.dtype == torch.bfloat16
    assert deviation(half.float(), whole) < 0.1


def test_offloaded_models_sample_the_same(tmp_path: Path) -> None:
    """diffusers' hooks with the CPU as the device: encoding and decoding pass through them too."""
    folder = str(tiny_flux(tmp_path))
    plain, offloaded = load_backbone(folder), load_backbone(folder)
    offloaded.offload("cpu")  # type: ignore[attr-defined]
    [a], [b] = (x.sample(["a red cat"], [0], x.default_sampler) for x in (plain, offloaded))
    assert_same_values(a.latents, b.latents)
    a, b = (x.encode_prompts(TEXTS)["encoder_hidden_states"] for x in (plain, offloaded))
    assert_same_values(a, b)


def test_sdxl_on_another_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="EDM schedule, which has no backbone file"):
        StableDiffusionXL("playground", None, {"sigma_data": 0.5})


def one_row(family: Family) -> tuple[Tensor, dict[str, Tensor]]:
    pair = family.pairs[0]
    return pair.winner[None], {name: value[None] for name, value in pair.conditioning.items()}


def on_white(image: Any) -> Any:
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def rewind(scheduler: Any) -> None:
    """As it was before its first step."""
    scheduler._step_index = scheduler._begin_index = None
    if hasattr(scheduler, "model_outputs"):
        scheduler.model_outputs = [None] * scheduler.config.solver_order
        scheduler.lower_order_nums = 0

"""LoRAs of every tool: the image is that of plain arithmetic, or the file is refused by name."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    Flux2KleinPipeline,
    FluxPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from lora_files import (
    Tensors,
    Update,
    diffusers_names,
    kohya_names,
    merged,
    near,
    updates,
    write,
)
from tiny_flux import tiny_flux
from tiny_flux2 import tiny_flux2_klein
from tiny_sdxl import tiny_sdxl
from tiny_video import tiny_wan

from sipo.backbones.base import Sampler
from sipo.backbones.loading.trained_weights import LORA_FILE, PEFT_FILE, check_weights, find_weights
from sipo.backbones.registry import SAMPLER_FILE, load_backbone

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
TEXT = ("q_proj", "fc1")
SD_KOHYA = {"unet": "lora_unet_", "text_encoder": "lora_te_"}
SEED = 5


@dataclass(frozen=True)
class Tiny:
    folder: Path
    pipeline: Any  # plain diffusers
    sampler: Sampler
    base: Any  # its image

    def image(self, pipeline: Any = None) -> Any:
        """As anyone would ask a diffusers pipeline."""
        return (pipeline or self.pipeline)(
            prompt="a red cat",
            generator=torch.Generator().manual_seed(SEED),
            num_inference_steps=self.sampler.steps,
            guidance_scale=self.sampler.guidance,
            height=self.sampler.height,
            width=self.sampler.width,
        ).images[0]

    def ours(self, weights: Path) -> Any:
        backbone = load_backbone(str(self.folder), weights)
        [sample] = backbone.sample(["a red cat"], [SEED], self.sampler)
        return sample.image

    def theirs(self, weights: Path) -> Any:
        """Plain diffusers'."""
        self.pipeline.load_lora_weights(weights)
        image = self.image()
        self.pipeline.unload_lora_weights()
        return image

    def check(self, changed: list[Update], weights: Path) -> Any:
        """Ours is the image of the merged weights, and not the base's."""
        made = self.ours(weights)
        assert not near(made, self.base, within=4)
        with merged(self.pipeline, changed):
            assert near(made, self.image())
        return made


def tiny(kind: Any, folder: Path) -> Tiny:
    own = {"safety_checker": None} if kind is StableDiffusionPipeline else {}
    pipeline = kind.from_pretrained(folder, **own)
    pipeline.set_progress_bar_config(disable=True)
    sampler = Sampler.model_validate_json((folder / SAMPLER_FILE).read_text())
    made = Tiny(folder, pipeline, sampler, None)
    return replace(made, base=made.image())


@pytest.fixture(scope="module")
def sd(tiny_folder: Path) -> Tiny:
    return tiny(StableDiffusionPipeline, tiny_folder)


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(FluxPipeline, tiny_flux(tmp_path_factory.mktemp("flux") / "tiny-flux"))


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "tiny-sdxl")
    return tiny(StableDiffusionXLPipeline, folder)


def metadata_of(component: str, rank: int, alpha: int, ends: tuple[str, ...]) -> dict[str, str]:
    config = {"r": rank, "lora_alpha": alpha, "target_modules": list(ends)}
    named = {f"{component}.{key}": value for key, value in config.items()}
    return {"lora_adapter_metadata": json.dumps(named)}


@pytest.mark.parametrize("layout", ["diffusers", "bare", "base_model", "kohya", "processor"])
def test_a_lora_of_stable_diffusion(sd: Tiny, tmp_path: Path, layout: str) -> None:
    changed = updates(sd.pipeline, "unet", ATTENTION, alpha=1.0)
    file = tmp_path / "mine.safetensors"
    if layout == "diffusers":
        write(tmp_path / LORA_FILE, diffusers_names(changed), metadata_of("unet", 2, 1, ATTENTION))
        file = tmp_path
    elif layout == "bare":
        changed = updates(sd.pipeline, "unet", ATTENTION)
        write(file, diffusers_names(changed, ""))
    elif layout == "base_model":  # as peft's save_pretrained
        write(tmp_path / PEFT_FILE, diffusers_names(changed, "base_model.model."))
        config = {"r": 2, "lora_alpha": 1, "target_modules": list(ATTENTION), "peft_type": "LORA"}
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        file = tmp_path
    elif layout == "kohya":
        write(file, kohya_names(changed, SD_KOHYA))
    else:
        changed = updates(sd.pipeline, "unet", ATTENTION)
        write(file, processor_names(changed))
    check_weights(file)
    made = sd.check(changed, file)
    if layout in ("diffusers", "kohya", "processor"):  # what plain diffusers reads
        assert near(made, sd.theirs(file))


def processor_names(changed: list[Update]) -> Tensors:
    """diffusers before 0.22."""
    made: Tensors = {}
    for one in changed:
        stem, _, end = one.layer.removesuffix(".0").rpartition(".")
        name = f"unet.{stem}.processor.{end}_lora"
        made |= {f"{name}.down.weight": one.down, f"{name}.up.weight": one.up}
    return made


@pytest.mark.parametrize("layout", ["kohya", "diffusers", "text only"])
def test_the_text_encoders_half_acts_too(sd: Tiny, tmp_path: Path, layout: str) -> None:
    pipeline = sd.pipeline
    changed = updates(pipeline, "text_encoder", TEXT, alpha=6.0)
    if layout != "text only":
        changed += updates(pipeline, "unet", ATTENTION, alpha=2.0)
    tensors = kohya_names(changed, SD_KOHYA)
    if layout == "diffusers":
        changed = [Update(c.component, c.layer, c.down, c.up, 2.0) for c in changed]
        tensors = diffusers_names(changed)
    file = write(tmp_path / "mine.safetensors", tensors)
    sd.check(changed, file)
    base, tuned = load_backbone(str(sd.folder)), load_backbone(str(sd.folder), file)
    assert base.weights_sha256() != tuned.weights_sha256()
    with pytest.raises(ValueError, match=r"also changes text_encoder .* give a LoRA of the unet"):
        load_backbone(str(sd.folder), file, denoiser_only=True)


def test_every_layer_has_its_own_rank_and_alpha(sd: Tiny, tmp_path: Path) -> None:
    """diffusers drops alphas that differ between attention layers; see docs/backbones.md."""
    pipeline = sd.pipeline
    changed = updates(pipeline, "unet", ("to_q", "to_k"), rank=4, alpha=1.0)
    changed += updates(pipeline, "unet", ("to_v",), rank=2, alpha=8.0)
    file = write(tmp_path / "mine.safetensors", kohya_names(changed, SD_KOHYA))
    sd.check(changed, file)


def test_dora_of_peft_acts_as_in_diffusers(sd: Tiny, tmp_path: Path) -> None:
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = deepcopy(sd.pipeline.unet)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q"], use_dora=True))
    chance = torch.Generator().manual_seed(1)
    for name, value in unet.named_parameters():
        if "lora_" in name:
            value.data += 0.5 * torch.randn(value.shape, generator=chance)
    state = {f"unet.{k}": v for k, v in get_peft_model_state_dict(unet).items()}
    made = sd.ours(write(tmp_path / "dora.safetensors", state))
    assert near(made, sd.image(StableDiffusionPipeline(**sd.pipeline.components | {"unet": unet})))
    assert not near(made, sd.base, within=4)


@pytest.mark.parametrize("layout", ["diffusers", "bare", "kohya", "bfl"])
def test_a_lora_of_flux(flux: Tiny, tmp_path: Path, layout: str) -> None:
    pipeline = flux.pipeline
    changed = updates(pipeline, "transformer", ("attn.to_q", "attn.to_k", "attn.to_v"), by=10)
    if layout == "bfl":  # fused, by the names of its authors: double blocks only
        fused = [c for c in changed if c.layer.startswith("transformer_blocks.")]
        tensors, changed = bfl_names(fused, alpha=1.0)
    else:
        tensors = {
            "diffusers": lambda: diffusers_names(changed),
            "bare": lambda: diffusers_names(changed, ""),
            "kohya": lambda: kohya_names(changed, {"transformer": "lora_transformer_"}),
        }[layout]()
    file = write(tmp_path / "mine.safetensors", tensors)
    made = flux.check(changed, file)
    if layout in ("diffusers", "bfl"):
        assert near(made, flux.theirs(file))


def test_a_kohya_lora_of_flux_2(tmp_path: Path) -> None:
    """Double blocks' fused attention, and single blocks' layer that is fused in diffusers, too."""
    klein = tiny(Flux2KleinPipeline, tiny_flux2_klein(tmp_path / "tiny-klein"))
    ends = ("attn.to_q", "attn.to_k", "attn.to_v", "to_qkv_mlp_proj")
    changed = updates(klein.pipeline, "transformer", ends, by=3, alpha=1.0)
    double = [one for one in changed if one.layer.startswith("transformer_blocks.")]
    single = [one for one in changed if one not in double]
    tensors, meant = bfl_names(double, alpha=1.0)
    for number, one in enumerate(single):
        name = f"lora_unet_single_blocks_{number}_linear1"
        tensors |= {f"{name}.lora_down.weight": one.down, f"{name}.lora_up.weight": one.up}
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
    file = write(tmp_path / "mine.safetensors", tensors)
    assert near(klein.check([*meant, *single], file), klein.theirs(file))


def bfl_names(changed: list[Update], alpha: float) -> tuple[Tensors, list[Update]]:
    """Query, key and value of a block share one A; returns the file and what it means."""
    tensors: Tensors = {}
    meant: list[Update] = []
    for number in sorted({one.layer.split(".")[1] for one in changed}):
        own = [one for one in changed if one.layer.split(".")[1] == number]
        name, down = f"lora_unet_double_blocks_{number}_img_attn_qkv", own[0].down
        tensors[f"{name}.lora_down.weight"] = down
        tensors[f"{name}.lora_up.weight"] = torch.cat([one.up for one in own])
        tensors[f"{name}.alpha"] = torch.tensor(alpha)
        meant += [Update(one.component, one.layer, down, one.up, alpha) for one in own]
    return tensors, meant


def test_flux_s_text_encoder(flux: Tiny, tmp_path: Path) -> None:
    pipeline = flux.pipeline
    changed = updates(pipeline, "text_encoder", TEXT, by=3)
    file = write(tmp_path / "mine.safetensors", diffusers_names(changed))
    flux.check(changed, file)


def test_sdxl_by_the_names_of_its_authors(sdxl: Tiny, tmp_path: Path) -> None:
    """kohya's of SDXL: sgm's blocks, and two text encoders."""
    pipeline = sdxl.pipeline
    unet = [
        one
        for one in updates(pipeline, "unet", ("attn1.to_q", "attn2.to_v"), alpha=1.0)
        if one.layer.startswith("mid_block")
    ]
    assert unet
    texts = [u for c in ("text_encoder", "text_encoder_2") for u in updates(pipeline, c, TEXT)]
    prefixes = {"text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}
    tensors = kohya_names(texts, prefixes)
    for key, value in kohya_names(unet, {"unet": "lora_unet_"}).items():
        tensors[key.replace("mid_block_attentions_0", "middle_block_1")] = value
    file = write(tmp_path / "mine.safetensors", tensors)
    sdxl.check(unet + texts, file)


Spoil = Callable[[Tensors], Tensors]


def renamed(old: str, new: str) -> Spoil:
    return lambda tensors: {key.replace(old, new): value for key, value in tensors.items()}


def without(ending: str) -> Spoil:
    """The first that ends so is left out."""

    def spoil(tensors: Tensors) -> Tensors:
        first = next(key for key in tensors if key.endswith(ending))
        return {key: value for key, value in tensors.items() if key != first}

    return spoil


def with_one(name: str, value: torch.Tensor) -> Spoil:
    return lambda tensors: tensors | {name: value}


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (renamed("unet.", "transformer."), r"tensor 'transformer\.down_blocks.*belongs to none"),
        (renamed("unet.", "unet.other."), r"tensor 'unet\.other\.down_.*layouts of diffusers, pe"),
        (renamed("lora_A", "hada_w1_a"), r"lacks its lora_A|hada_w1_a.* belongs to none"),
        (renamed("lora_", "lokr_"), r"lokr_A\.weight' belongs to none of its layers"),
        (renamed("lora_", "x_"), r"holds no LoRA: its first tensor is 'unet\.down_blocks"),
        (without("lora_B.weight"), r"has 'unet.*lora_A.weight' and lacks its lora_B"),
        (with_one("unet.conv_in.diff", torch.ones(2)), r"'unet.conv_in.diff' belongs to none"),
        (with_one("unet.conv_in.dora_scale", torch.ones(2)), r"dora_scale' is a DoRA"),
        (with_one("unet.x.lora_A.weight", torch.full((1,), torch.nan)), r"x\.lora_A.* not finite"),
    ],
)
def test_what_does_not_become_the_models_is_refused(
    sd: Tiny, tmp_path: Path, spoil: Spoil, complaint: str
) -> None:
    changed = updates(sd.pipeline, "unet", ATTENTION)
    file = write(tmp_path / "mine.safetensors", spoil(diffusers_names(changed)))
    with pytest.raises(ValueError, match=complaint) as raised:
        load_backbone(str(sd.folder), file)
    assert "mine.safetensors" in str(raised.value)


def test_a_lora_of_another_family_is_refused(sd: Tiny, flux: Tiny, tmp_path: Path) -> None:
    of_sd = updates(sd.pipeline, "unet", ATTENTION)
    of_flux, _ = bfl_names(updates(flux.pipeline, "transformer", ("attn.to_q",)), 1.0)
    for tiny, tensors, first in [
        (flux, diffusers_names(of_sd), "unet.down_blocks"),
        (flux, kohya_names(of_sd, SD_KOHYA), "lora_unet_down_blocks"),
        (sd, of_flux, "lora_unet_double_blocks"),
    ]:
        file = write(tmp_path / "mine.safetensors", tensors)
        with pytest.raises(ValueError, match=f"its tensor '{first}.*belongs to none"):
            load_backbone(str(tiny.folder), file)


def test_ranks_that_contradict_the_files_own_configuration(sd: Tiny, tmp_path: Path) -> None:
    changed = updates(sd.pipeline, "unet", ATTENTION)
    names, about = diffusers_names(changed), metadata_of("unet", 4, 4, ATTENTION)
    file = write(tmp_path / LORA_FILE, names, about)
    with pytest.raises(ValueError, match=r"does not fit backbone .*size mismatch"):
        load_backbone(str(sd.folder), file)
    write(file, names, {"lora_adapter_metadata": "{"})
    with pytest.raises(ValueError, match=r"configuration in .*mine|weights.* is damaged"):
        load_backbone(str(sd.folder), file)


def test_a_lora_of_zeros_loads_and_says_so(
    sd: Tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed = updates(sd.pipeline, "unet", ATTENTION)
    tensors = {k: v * ("lora_A" in k) for k, v in diffusers_names(changed).items()}
    file = write(tmp_path / "mine.safetensors", tensors)
    with caplog.at_level(logging.WARNING):
        made = sd.ours(file)
    assert "changes nothing" in caplog.text
    assert near(made, sd.base, within=0)


def test_where_weights_may_lie(tmp_path: Path) -> None:
    """A file, a folder with one, a checkpoint, a folder with a denoiser; else a remedy."""
    tensors = {"unet.a.lora_A.weight": torch.ones(1, 1)}
    file = write(tmp_path / "one" / "any name.safetensors", tensors)
    assert find_weights(file).lora == find_weights(file.parent).lora == file
    saved = write(tmp_path / "run" / "checkpoint-12" / LORA_FILE, tensors)
    assert find_weights(saved.parent).lora == saved
    write(tmp_path / "two" / "a.safetensors", tensors)
    write(tmp_path / "two" / "b.safetensors", tensors)
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_lora_weights.bin").write_bytes(b"PK\x03\x04")
    unet = write(tmp_path / "whole" / "unet" / "diffusion_pytorch_model.safetensors", tensors)
    (unet.parent / "config.json").write_text("{}")
    assert find_weights(tmp_path / "whole").whole == tmp_path / "whole"
    for path, complaint in [
        ("", "--weights is empty; give a folder that sipo-train wrote"),
        (tmp_path / "absent", "does not exist; give a folder"),
        (tmp_path / "run", r"checkpoint of that run: '.*run/checkpoint-12'"),
        (tmp_path / "two", r"holds 2 weight files \(a.safetensors, b.safetensors"),
        (tmp_path / "pickled", r"weights.bin' is a pickle"),
        (unet, r"give the folder that unet/ is in: '.*whole'"),
        (unet.parent, r"holds no LoRA|is of a whole denoiser"),
        (tmp_path, r"holds neither pytorch_lora_weights.safetensors nor unet/ nor transformer/"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            check_weights(path)


def test_xlabs_flux_as_diffusers_converts_it(flux: Tiny, tmp_path: Path) -> None:
    """Image and text of a block are two LoRAs of one name."""
    chance, tensors = torch.Generator().manual_seed(0), Tensors()
    for block, half, (part, rows) in product((0, 1), (1, 2), {"qkv": 96, "proj": 32}.items()):
        name = f"double_blocks.{block}.processor.{part}_lora{half}"
        tensors[f"{name}.down.weight"] = 3 * torch.randn(4, 32, generator=chance)
        tensors[f"{name}.up.weight"] = torch.randn(rows, 4, generator=chance)
    file = write(tmp_path / "mine.safetensors", tensors)
    made = flux.ours(file)
    assert near(made, flux.theirs(file))
    assert not near(made, flux.base, within=4)


def test_wan_by_the_names_of_its_authors(tmp_path: Path) -> None:
    """diffusers converts them, but leaves norms out: with one the file is refused."""
    folder = tiny_wan(tmp_path / "wan")
    blocks = load_backbone(str(folder)).denoiser.get_submodule("blocks")
    width, chance = blocks[0].attn1.to_q.in_features, torch.Generator().manual_seed(0)
    tensors: Tensors = {}
    for number, part in product(range(len(blocks)), "qkvo"):
        name = f"diffusion_model.blocks.{number}.self_attn.{part}"
        tensors[f"{name}.lora_down.weight"] = torch.randn(2, width, generator=chance)
        tensors[f"{name}.lora_up.weight"] = torch.randn(width, 2, generator=chance)
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
    file = write(tmp_path / "wan.safetensors", tensors)
    layer: Any = load_backbone(str(folder), file).denoiser.get_submodule("blocks.0.attn1.to_k")
    name = "diffusion_model.blocks.0.self_attn.k"
    expected = tensors[f"{name}.lora_up.weight"] @ tensors[f"{name}.lora_down.weight"] / 2
    torch.testing.assert_close(layer.get_delta_weight("default_0").detach(), expected)
    write(file, tensors | {"diffusion_model.blocks.0.norm3.diff": torch.ones(3)})
    with pytest.raises(
        ValueError, match=r"tensor 'diffusion_model\.blocks\.0\.norm3\.diff' belongs"
    ):
        load_backbone(str(folder), file)

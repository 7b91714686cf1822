"""Real CogVideoX and Wan pipelines of random weights: clips of a few frames of 16 or 32 px."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from PIL import Image
from tiny_text import t5
from torch import Tensor
from transformers import UMT5EncoderModel

from sipo.backbones.base import Sampler
from sipo.backbones.registry import SAMPLER_FILE

WIDTH = 16
COG_PX, WAN_PX = 16, 32


def tiny_cogvideox(folder: Path, kind: str = "2b", seed: int = 0) -> Path:
    """`kind` is 2b (sines added to patches), 5b (rotary, DPM) or 1.5 (two frames a patch too)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = t5(WIDTH)
        pipeline = CogVideoXPipeline(
            tokenizer=text["tokenizer"],
            text_encoder=text["encoder"],
            vae=_cogvideox_vae(),
            transformer=_cogvideox_transformer(kind),
            scheduler=cogvideox_scheduler(kind),
        )
    pipeline.save_pretrained(folder)
    (folder / SAMPLER_FILE).write_text('{"steps": 2, "guidance": 2.0, "frames": 9}')
    return folder


def tiny_wan(folder: Path, seed: int = 0, kind: str = "2.1") -> Path:
    """`kind` is 2.1, 5b (48 channels, 16 px a latent) or a14b (experts that part at t = 874)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = t5(WIDTH, UMT5EncoderModel)
        more: dict[str, Any] = {"expand_timesteps": True} if kind == "5b" else {}
        if kind == "a14b":
            more = {"transformer_2": _wan_transformer(), "boundary_ratio": 0.875}
        pipeline = WanPipeline(
            tokenizer=text["tokenizer"],
            text_encoder=text["encoder"],
            vae=_wan_vae_5b() if kind == "5b" else _wan_vae(),
            transformer=_wan_transformer(48 if kind == "5b" else 16),
            scheduler=wan_scheduler(),
            **more,
        )
    pipeline.save_pretrained(folder)
    side = 2 * WAN_PX if kind == "5b" else WAN_PX
    second = ', "guidance_2": 1.5' if kind == "a14b" else ""
    (folder / SAMPLER_FILE).write_text(
        f'{{"steps": 2, "guidance": 2.0{second}, "height": {side}, "width": {side}, "frames": 5}}'
    )
    return folder


def cogvideox_scheduler(kind: str) -> Any:
    """As published: zero terminal SNR, and 2B's shifted by 3."""
    kinds = {"2b": CogVideoXDDIMScheduler, "5b": CogVideoXDPMScheduler}
    return kinds.get(kind, CogVideoXDPMScheduler)(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        set_alpha_to_one=True,
        snr_shift_scale=3.0 if kind == "2b" else 1.0,
        timestep_spacing="trailing",
    )


def wan_scheduler() -> UniPCMultistepScheduler:
    """As published for 480p."""
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )


def _cogvideox_transformer(kind: str) -> CogVideoXTransformer3DModel:
    return CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=WIDTH,
        num_layers=2,
        sample_width=COG_PX // 4,
        sample_height=COG_PX // 4,
        sample_frames=9,
        patch_size=2,
        patch_size_t=2 if kind == "1.5" else None,
        patch_bias=kind != "1.5",
        use_rotary_positional_embeddings=kind != "2b",
    ).eval()


def _cogvideox_vae() -> AutoencoderKLCogVideoX:
    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 3,
        up_block_types=("CogVideoXUpBlock3D",) * 3,
        block_out_channels=(8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        sample_height=COG_PX,
        sample_width=COG_PX,
    ).eval()


def _wan_transformer(channels: int = 16) -> WanTransformer3DModel:
    return WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=channels,
        out_channels=channels,
        text_dim=WIDTH,
        freq_dim=64,
        ffn_dim=32,
        num_layers=2,
        rope_max_seq_len=32,
    ).eval()


def _wan_vae() -> AutoencoderKLWan:
    return AutoencoderKLWan(base_dim=3, dim_mult=[1, 1, 1, 1], num_res_blocks=1).eval()


def _wan_vae_5b() -> AutoencoderKLWan:
    """As published, but narrow: residual shortcuts, 2 x 2 pixels a place before the first layer."""
    return AutoencoderKLWan(
        base_dim=4,
        decoder_base_dim=4,
        z_dim=48,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.1 * i - 2 for i in range(48)],
        latents_std=[0.5 + 0.01 * i for i in range(48)],
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_temporal=4,
        scale_factor_spatial=16,
    ).eval()


@dataclass
class Calls:
    """What a pipeline fed to and got from its denoisers, and what it gave its scheduler."""

    fed: list[dict[str, Any]]
    got: list[Tensor]
    stepped: list[Tensor]
    asked: list[Any] = field(default_factory=list)


def watch(pipeline: Any, scheduler: bool = True) -> Calls:
    """Records every call from now on; a scheduler that is copied cannot be watched."""
    calls = Calls([], [], [])
    step = pipeline.scheduler.step

    def forward(asked: Any, _: Any, given: dict[str, Any], output: tuple[Tensor]) -> None:
        calls.asked.append(asked)
        calls.fed.append(given)
        calls.got.append(output[0])

    def watched(prediction: Tensor, *rest: Any, **named: Any) -> Any:
        calls.stepped.append(prediction)
        return step(prediction, *rest, **named)

    for name in ("transformer", "transformer_2"):
        if (denoiser := getattr(pipeline, name, None)) is not None:
            denoiser.register_forward_hook(forward, with_kwargs=True)
    if scheduler:
        pipeline.scheduler.step = watched
    return calls


def plain_clip(pipeline: Any, text: str, seed: int, sampler: Sampler) -> list[Image.Image]:
    """By plain diffusers, with what `sampler` says and the pipeline's defaults."""
    pipeline.set_progress_bar_config(disable=True)
    size = {name: getattr(sampler, name) for name in ("height", "width") if getattr(sampler, name)}
    told = {"guidance_scale": sampler.guidance}
    if sampler.guidance_2 is not None:
        told["guidance_scale_2"] = sampler.guidance_2
    if hasattr(pipeline, "guider"):  # which has it instead of the call
        pipeline.guider, told = pipeline.guider.new(**told), {}
    made = pipeline(
        text,
        generator=torch.Generator().manual_seed(seed),
        num_inference_steps=sampler.steps,
        num_frames=sampler.frames,
        output_type="pil",
        **told,
        **size,
    )
    return list(made.frames[0])

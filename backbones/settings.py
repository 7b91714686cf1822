"""Settings of every command that loads a model or samples from it."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import BaseModel

from sipo.backbones.loading.names import EMBEDDED
from sipo.common.settings import setting

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantize = Literal["no", "nf4", "int8"]
SAMPLER = ("steps", "guidance", "height", "width", "frames")
"""What is asked of the checkpoint's sampler; None leaves it its own."""

BACKBONE = partial(
    setting,
    "Model",
    "Model: an embedded one, a diffusers folder or a hub id.",
    metavar="MODEL",
    choices=EMBEDDED,
    parts="sipo.backbones",
    also="pretrained_model_name_or_path pretrained_model model model_id model_name_or_path",
)
WEIGHTS = partial(
    setting,
    "Model",
    "Trained weights: a run of sipo-train, a LoRA's .safetensors file, or its folder.",
    also="lora_path lora_weights",
    without="the model as it is",
)
DTYPE = partial(
    setting,
    "Machine",
    "Number format that the model is run in; auto is bfloat16 on a card that has it.",
    also="torch_dtype",
)
QUANTIZE = partial(
    setting, "Machine", "Bits of the denoiser's weights: nf4 by bitsandbytes, int8 by torchao."
)
OFFLOAD = partial(
    setting, "Machine", "Keep every part of the model on the CPU until needed.", also="cpu_offload"
)
WORKERS = partial(setting, "Machine", "Sampling processes on a CPU.", without="one a core", ge=1)
_sampler = partial(setting, "Sampling", without="the checkpoint's")
STEPS = partial(
    _sampler, "Denoising steps of the sampler.", also="num_inference_steps sampling_steps", ge=1
)
GUIDANCE = partial(
    _sampler, "Scale of classifier-free guidance.", also="guidance_scale cfg_scale cfg", ge=0
)
HEIGHT = partial(_sampler, "Height of pictures in pixels.", ge=1)
WIDTH = partial(_sampler, "Width of pictures in pixels.", ge=1)
FRAMES = partial(_sampler, "Frames of a clip.", also="num_frames", ge=1)


def sampler_settings(settings: BaseModel) -> dict[str, int | float]:
    """Of any command's settings with these fields: what is asked of the checkpoint's sampler."""
    return settings.model_dump(include=set(SAMPLER), exclude_none=True)

"""Settings of every command that loads a model or samples from it."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel

from sipo.backbones.loading.names import EMBEDDED
from sipo.common.settings import setting

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantize = Literal["no", "nf4", "int8"]
FASTER = ("compile", "cache", "fp8")
SAMPLER = ("steps", "guidance", "guidance_2", "height", "width", "frames", *FASTER)
"""What is asked of the checkpoint's sampler; None or False leaves it its own."""
CACHES: dict[str, float] = {"first-block": 0.05, "taylorseer": 5}
"""diffusers' caches over steps, with the threshold and the interval that are its defaults."""


def whole_cache(text: str) -> str:
    """ "first-block" -> "first-block=0.05". Raises ValueError for what is no cache of ours."""
    kind, equals, value = text.partition("=")
    if kind not in CACHES:
        raise ValueError(f"is unknown; choose one of {', '.join(CACHES)}")
    try:
        number = float(value) if equals else CACHES[kind]
    except ValueError:
        number = -1
    if not 0 <= number < inf or (kind == "taylorseer" and (number < 1 or number % 1)):
        needs = "a threshold of 0 or more" if kind == "first-block" else "1, 2, 3, ... steps"
        raise ValueError(f"is no such cache; {kind}= takes {needs}")
    return f"{kind}={number:g}"


Cache = Annotated[str, AfterValidator(whole_cache)]

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
    url=True,
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
_sampler = partial(setting, "Sampling", without="the checkpoint's")
STEPS = partial(
    _sampler, "Denoising steps of the sampler.", also="num_inference_steps sampling_steps", ge=1
)
GUIDANCE = partial(
    _sampler, "Scale of classifier-free guidance.", also="guidance_scale cfg_scale cfg", ge=0
)
GUIDANCE_2 = partial(
    _sampler,
    "Scale of guidance of the second denoiser, of a model that has two.",
    also="guidance_scale_2",
    ge=0,
)
HEIGHT = partial(_sampler, "Height of pictures in pixels.", ge=1)
WIDTH = partial(_sampler, "Width of pictures in pixels.", ge=1)
FRAMES = partial(_sampler, "Frames of a clip.", also="num_frames", ge=1)
COMPILE = partial(setting, "Sampling", "Compile the blocks of the denoiser.")
CACHE = partial(
    setting,
    "Sampling",
    "Reuse at a step what blocks of the denoiser computed before: first-block=THRESHOLD where the "
    "first block changed less, or taylorseer=STEPS between full ones.",
    metavar="NAME[=NUMBER]",
    choices=CACHES,
    without="compute every step",
)
FP8 = partial(setting, "Sampling", "Multiply in 8-bit floats, on a card that has them.")


def sampler_settings(settings: BaseModel) -> dict[str, object]:
    """Of any command's settings with these fields: what is asked of the checkpoint's sampler."""
    asked = settings.model_dump(include=set(SAMPLER), exclude_none=True)
    return {name: value for name, value in asked.items() if value is not False}

"""The lines of Python that load a policy into plain diffusers, for its card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sipo.backbones.loading.about_model import public_name
from sipo.backbones.loading.names import EMBEDDED, is_part
from sipo.backbones.loading.trained_weights import DENOISERS, LORA_FILE, is_of_second
from sipo.common.files.text import read_json

BY_COMPONENTS = {"HunyuanVideo15Pipeline"}
"""Pipelines of diffusers whose transformer loads the LoRA, and whose guider has the guidance."""
EMPTY = " "
BY_TRUE_CFG = {"QwenImagePipeline", "QwenImage21Pipeline"}
"""Whose `guidance_scale` is for distilled models, and which guide away from a prompt alone."""
_WHERE = re.compile(r'^weights = ".*"', re.MULTILINE)


def loading_code(
    run: Path,
    place: Path,
    base: str,
    pipeline: str | None,
    prompt: str,
    sampler: Mapping[str, object],
    fps: int | None,
) -> str:
    """Loads what is saved at the top of `run`, which is found at `place`.

    Empty where the base is a part from outside, which only its own code loads.
    """
    if is_part(base):
        return ""
    kind = pipeline or "DiffusionPipeline"
    whole = next((name for name in DENOISERS if (run / name).is_dir()), None)
    names, lines = [kind], []
    if (run / LORA_FILE).is_file() or whole is None:
        lines += [
            f"pipe = {kind}.from_pretrained({_base(base)})",
            _loads_lora(kind, is_of_second(run / LORA_FILE)),
        ]
    else:
        denoiser = str(read_json(run / whole / "config.json").get("_class_name"))
        names.append(denoiser)
        lines.append(f'{whole} = {denoiser}.from_pretrained(weights, subfolder="{whole}")')
        lines.append(f"pipe = {kind}.from_pretrained({_base(base)}, {whole}={whole})")
    asked: dict[str, object] = {
        "num_inference_steps": sampler.get("steps"),
        "guidance_scale": sampler.get("guidance"),
    }
    asked["guidance_scale_2"] = sampler.get("guidance_2")
    asked |= {name: sampler.get(name) for name in ("height", "width")}
    if kind in BY_TRUE_CFG:
        asked["true_cfg_scale"] = asked.pop("guidance_scale")
        asked["negative_prompt"] = EMPTY
    if kind in BY_COMPONENTS:
        guidance = asked.pop("guidance_scale")
        lines.append(f"pipe.guider = pipe.guider.new(guidance_scale={guidance})")
    if fps:
        asked["num_frames"] = sampler.get("frames")
    given = "".join(f", {name}={value!r}" for name, value in asked.items() if value is not None)
    if fps:
        lines.append(f"frames = pipe(prompt={prompt!r}{given}).frames[0]")
        lines.append(f'export_to_video(frames, "clip.mp4", fps={fps})')
    else:
        lines += [f"image = pipe(prompt={prompt!r}{given}).images[0]", 'image.save("picture.png")']
    head = [f"from diffusers import {', '.join(sorted(names))}"]
    head += ["from diffusers.utils import export_to_video"] * bool(fps)
    head += ["from sipo.weights import weights_folder"] * (base in EMBEDDED)
    where = f'weights = "{place.as_posix()}"  # this folder, or its name on the hub'
    return "\n".join([*head, "", where, *lines])


def _loads_lora(pipeline: str, second: bool) -> str:
    if pipeline in BY_COMPONENTS:
        return f'pipe.transformer.load_lora_adapter(weights, weight_name="{LORA_FILE}")'
    return f"pipe.load_lora_weights(weights{', load_into_transformer_2=True' * second})"


def at(code: str, repository: str) -> str:
    """The same lines, loading from the hub."""
    return _WHERE.sub(f'weights = "{repository}"', code, count=1)


def _base(base: str) -> str:
    if base in EMBEDDED:
        return f'weights_folder("{base}")'
    return f'"{public_name(base)}"'

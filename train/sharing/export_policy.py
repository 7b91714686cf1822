"""`sipo-train export`: a run's policy in the form that another program loads, read again.

What was written is read again by diffusers, and every layer's update compared with the run's own;
where they differ nothing is left behind.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sipo.backbones.loading.about_model import pipeline_class
from sipo.backbones.loading.kohya import FAMILIES, Updates, to_kohya, updates_of
from sipo.backbones.loading.names import find_backbone, is_part
from sipo.backbones.loading.trained_weights import DENOISERS, LORA_FILE, is_of_second
from sipo.backbones.loading.unread import unread
from sipo.backbones.registry import DTYPES, load_backbone
from sipo.common.files.text import read_text
from sipo.common.files.writing import atomic, write_text
from sipo.common.markdown_card import CARD, code
from sipo.common.quiet_libraries import no_loading_bars
from sipo.train.monitor.trackers import run_name
from sipo.train.sharing.loading_code import at
from sipo.train.sharing.model_card import write_model_card
from sipo.train.sharing.push_run import pictures_of
from sipo.train.sharing.run_facts import RunFacts, read_run_facts

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone

SAME = 1e-5  # relative, of a layer's update in float32
OPTION = "--format"
_CODE = re.compile(r"^```python\n.*?^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Export:
    run: RunFacts
    base: str
    beside: Path  # the folder that is written, and becomes `out`
    out: Path
    dtype: str


def export_policy(
    run: Path, format_: str, out: Path, backbone: str = "", dtype: str = "float32"
) -> Path:
    """Write the new folder `out`, whole or not at all; returns the file or folder to give to the
    other program. `backbone` goes over what the run says, where that has moved.

    Raises ValueError for what is no finished run, a form that this family or policy cannot have,
    and an `out` that is there.
    """
    known = read_run_facts(run)
    if out.exists():
        raise ValueError(f"--out {str(out)!r} is there already; give a new folder")
    if known.summary is None:
        raise ValueError(f"{str(run)!r} is not finished; run the same sipo-train again first")
    if not (run / CARD).is_file():
        write_model_card(run)
    no_loading_bars()
    beside = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        name = EXPORTS[format_](Export(known, backbone or known.base, beside, out, dtype))
        beside.replace(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out / name


def _diffusers(export: Export) -> str:
    """The LoRA as it is, without what else lies in a run folder."""
    with atomic(export.beside / LORA_FILE) as file:
        file.write(_lora_file(export, "diffusers").read_bytes())
    _write_card(export, at(_card(export), export.out.as_posix()))
    return LORA_FILE


def _comfyui(export: Export) -> str:
    from safetensors.torch import save

    lora, pipeline = _lora_file(export, "comfyui"), pipeline_class(export.base)
    if is_part(export.base) or pipeline not in FAMILIES:
        raise ValueError(
            f"{OPTION} comfyui is for {', '.join(FAMILIES)}, and the base {export.base!r} is a "
            f"{pipeline or 'backbone of your own'}; plain diffusers loads {str(lora)!r} as it is"
        )
    with unread():
        model = load_backbone(export.base, denoiser_only=True)
    before = _updates(model, lora)
    try:
        tensors = to_kohya(before, pipeline)
    except ValueError as error:
        raise ValueError(f"{str(lora)!r} cannot become a file for ComfyUI: {error}") from None
    name = f"{run_name(export.run.run)}.safetensors"
    tensors = {key: value.to(DTYPES[export.dtype]) for key, value in tensors.items()}
    with atomic(export.beside / name) as file:
        file.write(save({k: v.contiguous() for k, v in tensors.items()}, {"format": "pt"}))
    _require_same(before, _updates(model, export.beside / name), export.dtype)
    text = at(_card(export), export.out.as_posix())
    loads = "pipe.load_lora_weights(weights"
    text = text.replace(f"{loads})", f'{loads}, weight_name="{name}")')
    more = f"In ComfyUI: put `{name}` into `models/loras`, and load it with strength 1."
    _write_card(export, text.replace("\n## Use\n", f"\n## Use\n\n{more}\n", 1))
    return name


def _fuse(pipe: Any, run: Path) -> None:
    """By the pipeline's own loader, or by the transformer of one that has none."""
    if hasattr(pipe, "load_lora_weights"):
        second = is_of_second(run / LORA_FILE)
        pipe.load_lora_weights(str(run), **({"load_into_transformer_2": True} if second else {}))
        pipe.fuse_lora(**({"components": ["transformer_2"]} if second else {}))
        pipe.unload_lora_weights()
    else:
        pipe.transformer.load_lora_adapter(str(run), weight_name=LORA_FILE)
        pipe.transformer.fuse_lora()
        pipe.transformer.unload_lora()


def _fused(export: Export) -> str:
    """The whole pipeline with the policy in it, which needs no LoRA any more."""
    from diffusers import DiffusionPipeline

    run, base = export.run.run, export.base
    if is_part(base):
        raise ValueError(f"{OPTION} fused is for diffusers folders and hub ids, not for {base!r}")
    pipe: Any = DiffusionPipeline.from_pretrained(find_backbone(base))
    if (run / LORA_FILE).is_file():
        _fuse(pipe, run)
    else:
        folder = next((name for name in DENOISERS if (run / name).is_dir()), None)
        if folder is None:
            raise ValueError(f"{str(run)!r} has no policy in it")
        setattr(pipe, folder, type(getattr(pipe, folder)).from_pretrained(run / folder))
    pipe.to(DTYPES[export.dtype]).save_pretrained(export.beside)
    kind = type(pipe).__name__
    use = (
        f'from diffusers import {kind}\n\npipe = {kind}.from_pretrained("{export.out.as_posix()}")'
    )
    text = _CODE.sub(lambda found: code(use, "python"), _card(export), count=1)
    text = text.replace("base_model_relation: adapter", "base_model_relation: finetune", 1)
    text = text.replace("- lora\n- template:sd-lora\n", "", 1)
    _write_card(export, text.replace("A LoRA of", "A LoRA, fused into", 1))
    return "."


EXPORTS: dict[str, Callable[[Export], str]] = {
    "diffusers": _diffusers,
    "comfyui": _comfyui,
    "fused": _fused,
}


def _lora_file(export: Export, format_: str) -> Path:
    run = export.run.run
    if not (run / LORA_FILE).is_file():
        raise ValueError(
            f"{OPTION} {format_} is for LoRAs, and {str(run)!r} holds all weights; say fused"
        )
    return run / LORA_FILE


def _updates(model: Backbone, file: Path) -> Updates:
    lora = model.read_lora(file, "export")
    name = model.denoiser_folder
    return updates_of(lora.tensors.get(name, {}), lora.config.get(name, {}))


def _require_same(before: Updates, after: Updates, dtype: str) -> None:
    """Raises ValueError for a layer whose update is another; those of 0 may come and go."""
    allowed = SAME if dtype == "float32" else 2e-2
    for name in before.keys() | after.keys():
        one, other = (_product(side.get(name)) for side in (before, after))
        size = one if other is None else other if one is None else one - other
        most = max(float(each.norm()) for each in (one, other) if each is not None)
        assert size is not None, "one of them has the name"
        if float(size.norm()) > allowed * max(most, 1e-12):
            raise ValueError(
                f"the file for ComfyUI was read again, and its layer {name!r} is another than the "
                "run's; nothing was written"
            )


def _product(one: Any) -> torch.Tensor | None:
    if one is None:
        return None
    return one.scale * (one.up.float().flatten(1) @ one.down.float().flatten(1))  # type: ignore[no-any-return]


def _card(export: Export) -> str:
    """The run's."""
    return read_text(export.run.run / CARD, "card")


def _write_card(export: Export, text: str) -> None:
    """With the pictures that it shows."""
    write_text(export.beside / CARD, text)
    for name in pictures_of(export.run.run, text):
        (export.beside / name).parent.mkdir(exist_ok=True)
        shutil.copy(export.run.run / name, export.beside / name)

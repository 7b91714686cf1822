"""A detector's folder: `model.safetensors` in half precision and `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from sipo.common.files.writing import write_json


def write_folder(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    halved = {name: _half(part) for name, part in tensors.items()}
    (folder / "model.safetensors").write_bytes(save(halved))
    write_config(folder, config)


def write_config(folder: Path, config: Mapping[str, object]) -> None:
    write_json(folder / "config.json", config, indent=1, sort_keys=False)


def _half(part: Tensor) -> Tensor:
    part = part.detach().contiguous()
    return part.to(torch.float16) if part.is_floating_point() else part

"""A detector's folder: `model.safetensors` in half precision and `config.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor


def write_folder(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    halved = {name: _half(part) for name, part in tensors.items()}
    (folder / "model.safetensors").write_bytes(save(halved))
    write_config(folder, config)


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _half(part: Tensor) -> Tensor:
    part = part.detach().contiguous()
    return part.to(torch.float16) if part.is_floating_point() else part

"""YOLO-World's weights: a folder of ours, the published files, and their class embeddings.

Nothing of ultralytics, which would fetch the last two in its own way.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from sipo.common.files.tensor_files import refuse_no_weights
from sipo.feedback.judge_weights import find_folder
from sipo.feedback.scorers.clip import require_quick_gelu

TEXT_ENCODER = "openai/clip-vit-base-patch32"  # the one YOLO-World was trained with
PUBLISHED = tuple(f"yolov8{size}-worldv2.pt" for size in "smlx")
RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.4.0/"


def published_file(path: Path) -> Path:
    """That file, or an official one by its name. Raises ValueError for what is neither."""
    if str(path) in PUBLISHED and not path.is_file():
        return find_published(path.name)
    if path.is_file() and path.suffix == ".pt":
        with path.open("rb") as file:
            refuse_no_weights(file.read(64), f"judge weights {str(path)!r}")
    if not path.is_file() or path.suffix != ".pt":
        raise ValueError(
            f"judge weights {str(path)!r} are neither a folder with model.safetensors and "
            f"config.json nor a file like {PUBLISHED[-1]}; give no weights for the embedded judge"
        )
    return path


def find_published(name: str) -> Path:
    """Official weights by name, kept where torch keeps such files."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.is_file():
        return path
    reason = "HF_HUB_OFFLINE is set"
    if os.environ.get("HF_HUB_OFFLINE", "0") in ("", "0"):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(RELEASE + name, str(path))
            return path
        except OSError as error:
            reason = str(error)
    raise ValueError(
        f"judge weights {name!r} are not in {str(path.parent)!r} and cannot be downloaded "
        f"({reason}); get {RELEASE}{name} and give its path"
    )


@torch.inference_mode()
def embed_classes(vocabulary: Sequence[str], text_encoder: str) -> Tensor:
    """(N, 512) CLIP text embeddings. ultralytics would install a package from git for this."""
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer

    folder = find_folder(text_encoder)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    encoder = CLIPTextModelWithProjection.from_pretrained(folder, use_safetensors=True)
    require_quick_gelu(encoder.config, folder)
    tokens = tokenizer(list(vocabulary), padding=True, return_tensors="pt")
    return cast(Tensor, encoder.eval()(**tokens).text_embeds)

"""YOLO-World's weights: a folder of ours, the published files, and their class embeddings.

Nothing of ultralytics, which would fetch the last two in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from sipo.feedback.detectors.yolo_files import local_yolo, missing
from sipo.feedback.judge_weights import find_folder
from sipo.feedback.published_weights import YOLO_RELEASE, torch_cache
from sipo.feedback.scorers.clip import require_quick_gelu


def published_file(path: Path) -> Path:
    """That file, or an official one by its name, downloaded if need be to where torch keeps such
    files. Raises ValueError for what is neither."""
    if kept := local_yolo(path):
        return kept
    kept = torch_cache() / path.name
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(YOLO_RELEASE + path.name, str(kept))
    except OSError as error:
        raise ValueError(missing(path.name, str(error))) from None
    return kept


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

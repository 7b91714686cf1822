"""CLIP through transformers: unit embeddings of images and texts.

B images or texts, D dimensions, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from sipo.common.bars import say
from sipo.feedback.judge_weights import describe_folder, find_folder

if TYPE_CHECKING:
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer, PreTrainedConfig

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's images, per channel of RGB in [0, 1] (Radford et al. 2021, open code)."""


class Clip:
    def __init__(
        self,
        model: CLIPModel,
        tokenizer: CLIPTokenizer,
        image_processor: CLIPImageProcessorPil,
        device: torch.device,
    ) -> None:
        self.model = model.float().eval().to(device)
        self._tokenizer = tokenizer
        self._image_processor = image_processor
        self._said_cut = False

    @torch.inference_mode()
    def images(self, images: Sequence[Image.Image]) -> Tensor:
        """(B, D), each of length 1."""
        rgb = [image.convert("RGB") for image in images]
        return self.pixels(self._image_processor(images=rgb, return_tensors="pt")["pixel_values"])

    @torch.inference_mode()
    def pixels(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S), normalised by MEAN and STD -> (B, D), each of length 1."""
        seen = self.model.get_image_features(pixel_values=pixels.to(self.model.device))
        return _unit(seen.pooler_output)

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """(B, D), each of length 1. A text is cut after the model's last position."""
        most = self.model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=most, return_tensors="pt"
        ).to(self.model.device)
        self._say_cut(texts, most)
        read = self.model.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        )
        return _unit(read.pooler_output)

    def _say_cut(self, texts: Sequence[str], most: int) -> None:
        """The first time, of the first text."""
        for text in () if self._said_cut else texts:
            if len(text) + 2 > most and len(self._tokenizer(text, verbose=False).input_ids) > most:
                self._said_cut = True
                say(
                    f"warning: the judge's text encoder reads {most} tokens, and judges longer "
                    f"prompts without their last words, the first {text[:80]!r}"
                )
                break

    def cosines(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """(B, D) unit image embeddings and B texts -> (B,). Equal texts are read once."""
        once = list(dict.fromkeys(texts))
        read = self.texts(once)[[once.index(text) for text in texts]]
        return (images * read).sum(-1)


def load_clip(
    weights: str | Path, device: torch.device, processor: str | Path | None = None
) -> tuple[Clip, dict[str, object]]:
    """A CLIP and what to say of it. `processor` is asked where the weights come without one."""
    from transformers import CLIPModel

    folder = find_folder(weights)
    model = CLIPModel.from_pretrained(folder, use_safetensors=True)
    if processor is None or (folder / "preprocessor_config.json").is_file():
        processor = folder
    return Clip(model, *load_processor(processor), device), describe_folder(folder)


def load_processor(folder: str | Path) -> tuple[CLIPTokenizer, CLIPImageProcessorPil]:
    """Tokenizer and image processor; PIL's resampling, which the published scorers used."""
    from transformers import CLIPImageProcessorPil, CLIPTokenizer

    folder = find_folder(folder, needs_weights=False)
    return CLIPTokenizer.from_pretrained(folder), CLIPImageProcessorPil.from_pretrained(folder)


def require_quick_gelu(config: PreTrainedConfig, folder: str | Path) -> None:
    """OpenAI's weights are wrong by a little with the exact GELU, and nothing else says so."""
    if config.hidden_act != "quick_gelu":
        raise ValueError(
            f"{str(folder)!r} has hidden_act {config.hidden_act!r}, and OpenAI's CLIP was trained "
            'with "quick_gelu"; correct its config.json or download it again'
        )


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows.float(), dim=-1)

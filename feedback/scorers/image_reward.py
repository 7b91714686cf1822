"""ImageReward (Xu et al. 2023): BLIP-L reads the text while it looks at the image; about -2 to 2.

Source: THUDM/ImageReward, `ImageReward/ImageReward.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image

from sipo.common.devices import judge_device
from sipo.feedback.judge_weights import describe_file, find_file, find_folder, load_tensors
from sipo.feedback.published_weights import BERT, IMAGE_REWARD, IMAGE_REWARD_FILE
from sipo.feedback.scorers.base import LinearHead, ScorerJudge, SigmoidScale
from sipo.feedback.scorers.blip_weights import blip_from_image_reward
from sipo.feedback.scorers.clip import MEAN, STD

if TYPE_CHECKING:
    from transformers import BertTokenizer, BlipTextModel, BlipVisionModel

MAX_TOKENS = 35
REWARD_MEAN, REWARD_STD = 0.16717362830052426, 1.0333394966054072


class ImageReward:
    def __init__(
        self,
        tower: BlipVisionModel,
        reader: BlipTextModel,
        head: LinearHead,
        tokenizer: BertTokenizer,
        device: torch.device,
        description: dict[str, object],
    ) -> None:
        from transformers import CLIPImageProcessorPil

        self._tower, self._reader, self._head = (
            part.float().eval().to(device) for part in (tower, reader, head)
        )
        self._tokenizer, self._device, self._description = tokenizer, device, description
        side = int(tower.config.image_size)
        self._image_processor = CLIPImageProcessorPil(
            size={"shortest_edge": side},
            crop_size={"height": side, "width": side},
            image_mean=MEAN,
            image_std=STD,
        )

    def describe(self) -> dict[str, object]:
        return {"id": "image-reward", **self._description}

    @torch.inference_mode()
    def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        rgb = [image.convert("RGB") for image in images]
        pixels = self._image_processor(images=rgb, return_tensors="pt")["pixel_values"]
        tokens = self._tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=MAX_TOKENS,
            return_tensors="pt",
        )
        seen = self._tower(pixel_values=pixels.to(self._device)).last_hidden_state
        read = self._reader(
            input_ids=tokens["input_ids"].to(self._device),
            attention_mask=tokens["attention_mask"].to(self._device),
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], device=self._device),
        ).last_hidden_state
        rewards = (self._head(read[:, 0]) - REWARD_MEAN) / REWARD_STD
        scores: list[float] = rewards.tolist()
        return scores


def load_image_reward(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    center: float = 0.0,
    tokenizer: str = BERT,
    device: str = "auto",
) -> ScorerJudge:
    """`weights`: the published file. The slope undoes its normalisation: it was trained by
    -log sigmoid of differences before that."""
    from transformers import BertTokenizer

    path = find_file(weights, IMAGE_REWARD, IMAGE_REWARD_FILE)
    tower, reader, head = blip_from_image_reward(load_tensors(path), path)
    words = BertTokenizer.from_pretrained(find_folder(tokenizer, needs_weights=False))
    scorer = ImageReward(tower, reader, head, words, judge_device(device), describe_file(path))
    return ScorerJudge(scorer, SigmoidScale(center, REWARD_STD))

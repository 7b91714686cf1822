"""HPSv3 (Ma et al. 2025): Qwen2-VL-7B's opinion of an image and its prompt; about 0 to 12.

The head has a mean, which is the score, and the logarithm of a deviation, which was trained with it
and is kept. Source: MizzenAI/HPSv3, PyPI's hpsv3 1.0.0: `inference.py`, `train.py`,
`config/HPSv3_7B.yaml`, `model/qwen2vl_trainer.py`. The names and shapes in HPSv3.safetensors are
read off that code, which loads it strictly, and off its issue 15 (151658 words, width 3584).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import nn

from sipo.common.devices import judge_device
from sipo.feedback.judge_weights import describe_file, find_file, load_tensors
from sipo.feedback.published_weights import HPSV3, HPSV3_FILE, QWEN2_VL_7B
from sipo.feedback.scorers.base import Rating, ScorerJudge, SigmoidScale
from sipo.feedback.scorers.official_question import official_question
from sipo.feedback.scorers.qwen2_vl_reward import FACTOR, RewardModel
from sipo.feedback.scorers.reward_loading import reward_model
from sipo.feedback.vlm import Dtype

TOKEN = "<|Reward|>"
PIXELS = 256 * FACTOR**2
CENTER = 8.2  # of SDXL, in the table of its README
SLOPE = 1.0  # its loss is -log sigmoid of a difference, over normal deviations
BATCH = 8  # images of 256 tokens each


class Hpsv3:
    def __init__(self, model: RewardModel, description: dict[str, object]) -> None:
        self._model, self._description = model, description

    def describe(self) -> dict[str, object]:
        return {"id": "hpsv3", **self._description}

    def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[Rating]:
        questions = [official_question("hpsv3", self._model.require_plain(text)) for text in texts]
        read = self._model.read(questions, images=[resized(image) for image in images])[:, 0]
        sigmas = read[:, 1].exp().tolist()
        return [
            Rating(mean, {"sigma": sigma})
            for mean, sigma in zip(read[:, 0].tolist(), sigmas, strict=True)
        ]


def resized(image: Image.Image) -> Image.Image:
    """About PIXELS, its shape kept but for multiples of FACTOR; small images are enlarged."""
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    height, width = smart_resize(image.height, image.width, FACTOR, PIXELS, PIXELS)
    return image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def make_head(width: int) -> nn.Module:
    """ "ranknet" there: (B, width) -> (B, 2)."""
    return nn.Sequential(
        nn.Linear(width, 1024),
        nn.ReLU(),
        nn.Dropout(0.05),
        nn.Linear(1024, 16),
        nn.ReLU(),
        nn.Linear(16, 2),
    )


def load_hpsv3(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    center: float = CENTER,
    base: str = QWEN2_VL_7B,
    dtype: Dtype = "auto",
    device: str = "auto",
) -> ScorerJudge:
    """`base`: folder or hub id of Qwen2-VL's configuration, tokenizer and processor, no weights."""
    path = find_file(weights, HPSV3, HPSV3_FILE)
    model = reward_model(
        load_tensors(path), path, base, [TOKEN], make_head, dtype, judge_device(device)
    )
    return ScorerJudge(Hpsv3(model, describe_file(path)), SigmoidScale(center, SLOPE), BATCH)

"""Qwen2-VL that writes nothing: a head reads the hidden states of special tokens in its question.

So are HPSv3 and VideoReward made. Both were trained and published with transformers 4.45.2 by a
`forward` that hands no positions to the language model, which then counts 0, 1, 2 ... through text
and picture alike (there `modeling_qwen2_vl.py`, line 1204). Qwen2-VL itself, and Qwen2VLModel of
today where it is handed none, has three positions a token, of time, row and column: other scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import ProcessorMixin, Qwen2VLModel

FACTOR = 28  # px: a side is a multiple of two patches of 14


class RewardModel:
    """`tokens` are the special ones whose hidden states the head reads."""

    def __init__(
        self,
        model: Qwen2VLModel,
        head: nn.Module,
        processor: ProcessorMixin,
        tokens: Sequence[str],
        device: torch.device,
    ) -> None:
        self._model, self._head = model.eval().to(device), head.float().eval().to(device)
        self._processor, self._tokens = processor, tuple(tokens)
        ids = processor.tokenizer.convert_tokens_to_ids(list(tokens))
        self._ids, self._device = torch.tensor(ids, device=device), device

    @torch.inference_mode()
    def read(
        self,
        questions: Sequence[str],
        images: Sequence[Image.Image] | None = None,
        videos: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """(B, tokens, head's outputs), float32: of each question about its image or video.

        They have their size already, multiples of FACTOR; a video is (T, 3, H, W), uint8. Raises
        ValueError for a question that does not hold each token once.
        """
        kind = "image" if videos is None else "video"
        inputs = self._processor(
            text=self._chats(questions, kind),
            images=None if images is None else list(images),
            videos=None if videos is None else list(videos),
            padding=True,
            return_tensors="pt",
            images_kwargs={"do_resize": False},
            videos_kwargs={"do_resize": False, "do_sample_frames": False}
            | {"cap_pixels_per_frame": False},
        ).to(self._device)
        words = inputs.pop("input_ids")
        inputs.pop("mm_token_type_ids", None)  # from which the three positions would be made
        count = torch.arange(words.shape[1], device=self._device)
        hidden = self._model(
            input_ids=words,
            position_ids=count.expand(3, *words.shape),
            use_cache=False,
            **inputs.to(self._model.dtype),
        ).last_hidden_state
        return self._read(words, hidden)

    def _read(self, words: Tensor, hidden: Tensor) -> Tensor:
        """(B, L), (B, L, width) -> (B, tokens, outputs)."""
        marked = torch.isin(words, self._ids)
        if not (marked.sum(-1) == len(self._tokens)).all():
            raise ValueError(f"a question does not hold each of {', '.join(self._tokens)} once")
        read: Tensor = self._head(hidden[marked].float().view(len(words), len(self._tokens), -1))
        return read.float().cpu()

    def _chats(self, questions: Sequence[str], kind: str) -> list[str]:
        chats: list[str] = self._processor.apply_chat_template(
            [
                [{"role": "user", "content": [{"type": kind}, {"type": "text", "text": question}]}]
                for question in questions
            ],
            tokenize=False,
            add_generation_prompt=True,
        )
        return chats

    def require_plain(self, prompt: str) -> str:
        """Raises ValueError for a prompt with a token of the template's or the head's in it."""
        if held := [t for t in self._processor.tokenizer.get_added_vocab() if t in prompt]:
            raise ValueError(f"the prompt holds {held[0]!r}, which is no text to this judge")
        return prompt

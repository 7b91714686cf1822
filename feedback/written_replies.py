"""What a vision-language model writes about an image: one in this process, or behind a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING, Protocol

import torch
from PIL import Image

from sipo.feedback.remote.chat_judge import COMPLETIONS, data_url
from sipo.feedback.remote.chat_replies import (
    chat_body,
    image_part,
    is_cut,
    text_in,
    text_part,
    with_more,
)
from sipo.feedback.remote.http_calls import CallError, HttpCalls
from sipo.feedback.vlm import asked

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

Reply = str | ValueError
"""Of one image: the text, or why there is none."""


class Writer(Protocol):
    def describe(self) -> dict[str, object]: ...

    def write(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[Reply]:
        """One reply an image, of the likeliest words."""
        ...


class LocalWriter:
    """One image at a time. A reply of `most_tokens` is one that was cut short."""

    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        description: Mapping[str, object],
        most_tokens: int,
    ) -> None:
        self._model, self._processor, self._most = model, processor, most_tokens
        self._description = dict(description)

    def describe(self) -> dict[str, object]:
        return {**self._description, "most_tokens": self._most}

    def write(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[Reply]:
        return [self._write(image, text) for image, text in zip(images, texts, strict=True)]

    @torch.inference_mode()
    def _write(self, image: Image.Image, text: str) -> Reply:
        inputs = asked(self._processor, [[image, text]]).to(self._model.device, self._model.dtype)
        words = self._model.generate(**inputs, max_new_tokens=self._most, do_sample=False)
        new = words[0, inputs["input_ids"].shape[1] :]
        if len(new) == self._most and int(new[-1]) not in self._ends():
            return _cut(self._most)
        reply: str = self._processor.tokenizer.decode(new, skip_special_tokens=True)
        return reply

    def _ends(self) -> list[int]:
        ends = self._model.generation_config.eos_token_id
        return ends if isinstance(ends, list) else [ends]


class ChatWriter:
    """All images of a call at once, in threads. `more` goes into requests."""

    def __init__(
        self, calls: HttpCalls, model: str, more: Mapping[str, object], most_tokens: int
    ) -> None:
        self._calls, self._model, self._more = calls, model, dict(more)
        self._most = most_tokens

    def describe(self) -> dict[str, object]:
        more = {"request": self._more} if self._more else {}
        return {
            "url": self._calls.url,
            "model": self._model,
            "most_tokens": self._most,
            **more,
        }

    def write(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[Reply]:
        def ask(one: tuple[Image.Image, str], stop: Event) -> Reply:
            parts = [image_part(data_url(one[0])), text_part(one[1])]
            body = chat_body(self._model, parts, self._most)
            reply = self._calls.post(COMPLETIONS, with_more(body, self._more), stop)
            return _cut(self._most) if is_cut(reply) else text_in(reply)

        replies = self._calls.each(ask, list(zip(images, texts, strict=True)))
        self._calls.failed(sum(isinstance(one, CallError) for one in replies))
        return list(replies)


def _cut(most: int) -> ValueError:
    return ValueError(f"the reply was cut short at {most} tokens (setting most_tokens)")

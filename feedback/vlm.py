"""A vision-language model as a judge: the first token's probability of right answers.

The model is an image-text one of transformers with a template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from PIL import Image
from pydantic import Field

from sipo.common.devices import judge_device
from sipo.feedback.before_after import shown
from sipo.feedback.judge_batches import judge_in_batches
from sipo.feedback.judge_weights import describe_folder, find_folder
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.prompts.question import Mean, Question
from sipo.feedback.prompts.questions import first_tokens, read_questions
from sipo.feedback.published_weights import VLM
from sipo.feedback.rule.answers import BRIEF, THRESHOLD, AnswerRule
from sipo.feedback.rule.verdict import Verdict

if TYPE_CHECKING:
    from transformers import BatchFeature, PreTrainedModel, ProcessorMixin

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class VlmJudge:
    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        *,
        description: Mapping[str, object],
        rule: AnswerRule | None = None,
    ) -> None:
        self._model = model.eval()
        self._processor = processor
        self._description, self._rule = dict(description), rule or AnswerRule()
        self._tokens = cache(lambda answer: list(first_tokens(processor.tokenizer, answer)))

    def describe(self) -> dict[str, object]:
        return {"id": "vlm", **self._description, **self._rule.describe()}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        """One image at a time, all its questions in one batch."""
        return judge_in_batches(
            self, lambda one, description: [self._judge(*one[0], description)], images, prompts, 1
        )

    def _judge(self, image: Image.Image, prompt: Prompt, description: dict[str, object]) -> Verdict:
        if not (questions := self._rule.questions_of(prompt)):
            return self._rule.unasked(prompt, description)
        return self._rule.verdict(
            prompt, self.chances(shown(image, prompt), questions), description
        )

    @torch.inference_mode()
    def chances(
        self, seen: Sequence[Image.Image | str], questions: Sequence[Question]
    ) -> list[float]:
        """Per question about what is seen (pictures, and words between them) the probability that
        the answer begins with the right one's first token.

        The raw logits count: a checkpoint's own repetition penalty and temperature do not.
        """
        messages = [[*seen, f"{one.text} {BRIEF}"] for one in questions]
        inputs = asked(self._processor, messages).to(self._model.device, self._model.dtype)
        output = self._model.generate(
            **inputs,
            max_new_tokens=1,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        rows = output.logits[0].float().softmax(-1)  # (questions, words)
        if not torch.isfinite(rows).all():
            raise FloatingPointError("the model's output is not finite")
        return [
            min(1.0, float(row[self._tokens(one.answer)].sum()))
            for row, one in zip(rows, questions, strict=True)
        ]


def asked(
    processor: ProcessorMixin, messages: Sequence[Sequence[Image.Image | str]]
) -> BatchFeature:
    """Model inputs of messages of pictures and texts, one a row, in the processor's template."""
    inputs: BatchFeature = processor.apply_chat_template(
        [_conversation(one) for one in messages],
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )
    return inputs


def _conversation(parts: Sequence[Image.Image | str]) -> list[dict[str, object]]:
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image", "image": part.convert("RGB")}
        for part in parts
    ]
    return [{"role": "user", "content": content}]


def load_writer(
    weights: str | Path, dtype: Dtype, device: str
) -> tuple[PreTrainedModel, ProcessorMixin, dict[str, object]]:
    """(model, processor, what `describe` says of the weights) of any vision-language model."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = find_folder(weights)
    model = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, trust_remote_code=False
    )
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    processor.tokenizer.padding_side = "left"  # so that every row ends with its question
    return model.to(judge_device(device)).eval(), processor, describe_folder(folder)


def load_vlm(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    mean: Mean | None = None,
    least: Annotated[float, Field(ge=0, le=1)] = THRESHOLD,
    questions: str | None = None,
    dtype: Dtype = "auto",
    device: str = "auto",
) -> VlmJudge:
    """`weights`: folder or hub id of an Instruct model; one that thinks first answers late."""
    table = read_questions(questions) if questions else None
    model, processor, description = load_writer(weights or VLM, dtype, device)
    return VlmJudge(model, processor, description=description, rule=AnswerRule(mean, least, table))

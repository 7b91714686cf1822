"""A reward model from one published file and the configuration of the Qwen2-VL it was made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sipo.feedback.judge_weights import find_folder
from sipo.feedback.scorers.qwen2_vl_reward import RewardModel
from sipo.feedback.scorers.reward_weights import named_as_today
from sipo.feedback.vlm import Dtype

if TYPE_CHECKING:
    from transformers import Qwen2VLConfig


def reward_model(
    tensors: Mapping[str, Tensor],
    where: str | Path,
    base: str,
    tokens: Sequence[str],
    make_head: Callable[[int], nn.Module],
    dtype: Dtype,
    device: torch.device,
) -> RewardModel:
    """Of the published `tensors` (from `where`, for sentences), and of the folder or hub id `base`
    the configuration, tokenizer and processor. `make_head` gets the width.

    Raises ValueError where a tensor is missing, left over or of another shape.
    """
    from transformers import AutoConfig, AutoProcessor, Qwen2VLConfig, Qwen2VLModel

    folder = find_folder(base, needs_weights=False)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if not isinstance(config, Qwen2VLConfig):
        raise ValueError(f"judge setting base: {base!r} is a {config.model_type}, not a qwen2_vl")
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    processor.tokenizer.padding_side = "right"  # so that padding moves no position
    processor.tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    body, of_head = named_as_today(tensors)
    own = _dtype(body, config, len(processor.tokenizer), where, base)
    head = make_head(config.text_config.hidden_size)
    try:
        model, found = Qwen2VLModel.from_pretrained(
            None,
            config=config,
            state_dict=body,
            dtype=own if dtype == "auto" else getattr(torch, dtype),
            output_loading_info=True,
        )
        _require_all(found)
        head.load_state_dict(of_head)
    except (RuntimeError, KeyError) as error:
        raise ValueError(
            f"judge weights {str(where)!r} do not fit {base!r} with this head "
            f"({' '.join(str(error).split())[:160]}); give the published file, and its own base"
        ) from None
    return RewardModel(model, head, processor, tokens, device)


def _dtype(
    body: Mapping[str, Tensor], config: Qwen2VLConfig, words: int, where: str | Path, base: str
) -> torch.dtype:
    """That of the embedding, whose rows are the configuration's words from here on."""
    embedding = body.get("language_model.embed_tokens.weight")
    if embedding is None or len(embedding) != words:
        has = "no" if embedding is None else len(embedding)
        raise ValueError(
            f"judge weights {str(where)!r} have {has} words, and the tokenizer of {base!r} has "
            f"{words} with the judge's own; give the file as published, and its base"
        )
    config.text_config.vocab_size = words
    return embedding.dtype


def _require_all(found: Mapping[str, object]) -> None:
    """Raises KeyError that names a tensor which is not where it belongs."""
    for what in ("missing", "unexpected", "mismatched"):
        if names := found.get(f"{what}_keys"):
            raise KeyError(f"{what}: {min(map(str, names))}")  # type: ignore[call-overload]

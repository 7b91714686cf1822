"""State dicts of fine-tuned Qwen2-VL as transformers' Qwen2VLModel names them today.

They were written by transformers 4.45, whose class had `visual`, `model` and `lm_head` beside each
other, and around that by PEFT, where the fine-tuning was a LoRA's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

PEFT = "base_model.model."
_LORA = re.compile(r"\.lora_([AB])(\.default)?\.weight$")
_TODAY = (
    (re.compile(r"^model\.(?=visual\.|language_model\.)"), ""),
    (re.compile(r"^model\."), "language_model."),
)
HEAD = "rm_head."
_UNUSED = "lm_head.weight"  # of the words that it would write


def without_lora(
    tensors: Mapping[str, Tensor], alpha: float, where: str | Path
) -> dict[str, Tensor]:
    """W + (alpha / rank) B A for each W of a LoRA (Hu et al. 2021, section 4.1), names as without.

    Summed in float32. Raises ValueError for an A without its B and its W.
    """
    plain = {
        name.removeprefix(PEFT).replace(".base_layer.", "."): tensor
        for name, tensor in tensors.items()
    }
    pairs: dict[str, dict[str, Tensor]] = {}
    for name in [name for name in plain if _LORA.search(name)]:
        found = _LORA.search(name)
        assert found is not None
        pairs.setdefault(f"{name[: found.start()]}.weight", {})[found[1]] = plain.pop(name)
    for name, pair in pairs.items():
        if pair.keys() != {"A", "B"} or name not in plain:
            raise ValueError(
                f"judge weights {str(where)!r} have half a LoRA of {name!r}; get the file again"
            )
        weight, a, b = plain[name], pair["A"], pair["B"]  # (out, in), (rank, in), (out, rank)
        change = b.float() @ a.float() * (alpha / len(a))
        plain[name] = (weight.float() + change).to(weight.dtype)
    return plain


def named_as_today(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(of Qwen2VLModel, of the reward head)."""
    body, head = {}, {}
    for name, tensor in tensors.items():
        if name.startswith(HEAD):
            head[name.removeprefix(HEAD)] = tensor
        elif name != _UNUSED:
            body[_today(name)] = tensor
    return body, head


def _today(name: str) -> str:
    for pattern, ours in _TODAY:
        if pattern.match(name):
            return pattern.sub(ours, name)
    return name

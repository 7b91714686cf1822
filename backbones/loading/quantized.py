"""A frozen denoiser in fewer bits, by the libraries that do it: `--quantize`.

A checkpoint that was published quantized says so in its own config.json and needs no option.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from sipo.backbones.loading.bits import NO_CARD, check_bits

if TYPE_CHECKING:
    from diffusers.quantizers.quantization_config import QuantizationConfigMixin


def quantization(name: str, dtype: torch.dtype) -> QuantizationConfigMixin | None:
    """diffusers' configuration; products are in `dtype`. None for "no".

    nf4 is QLoRA's 4-bit NormalFloat with its constants quantized too (Dettmers et al. 2023), int8
    one scale a row of weights. Raises ValueError for other names and where it cannot be done.
    """
    check_bits(name)
    if name == "no":
        return None
    if name == "nf4":
        from diffusers import BitsAndBytesConfig

        if not torch.cuda.is_available():
            raise ValueError(NO_CARD)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    from diffusers import TorchAoConfig
    from torchao.quantization import Int8WeightOnlyConfig

    return TorchAoConfig(Int8WeightOnlyConfig())


def stored(value: Tensor) -> Iterator[Tensor]:
    """The tensors that hold a quantized one; any other is its own."""
    if not is_traceable_wrapper_subclass(value):
        yield value
        return
    for name in value.__tensor_flatten__()[0]:
        yield from stored(getattr(value, name))

"""AdamW, whole or with its moments in 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import nn

from sipo.train.settings import TrainSettings


def make_optimizer(
    settings: TrainSettings, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """8 bits: block-wise, tensors of at least 4096 values (Dettmers et al. 2022).

    Raises ValueError where bitsandbytes is missing.
    """
    make: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW
    if settings.use_8bit_adam:
        try:
            from bitsandbytes import optim
        except ImportError:
            raise ValueError(
                "--use_8bit_adam needs bitsandbytes; pip install 'sipo[quantize]'"
            ) from None
        make = optim.AdamW8bit
    trained = list(parameters)
    if make is torch.optim.AdamW and all(p.device.type == "cuda" for p in trained):
        make = partial(make, fused=True)  # one kernel for all tensors of a step
    return make(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)

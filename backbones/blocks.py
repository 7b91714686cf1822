"""A denoiser's transformer blocks, by the names of classes that diffusers says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

REPEATED = ("_repeated_blocks", "_no_split_modules")
WHOLE = ("_no_split_modules", "_repeated_blocks")
"""What is repeated, what is one piece; of some models diffusers says one of the two only."""


def blocks_of(denoiser: nn.Module, told: Sequence[str] = REPEATED) -> Iterator[nn.Module]:
    """Outer ones before those inside."""
    names = names_of_blocks(denoiser, told)
    return (module for module in denoiser.modules() if type(module).__name__ in names)


def names_of_blocks(denoiser: object, told: Sequence[str] = REPEATED) -> list[str]:
    named = (getattr(denoiser, name, None) for name in told)
    return list(next(filter(None, named), ()))

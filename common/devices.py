"""Where a model computes, and in which precision."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping

import torch

from sipo.common.processes import this_process

M_MMAP_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -4, -3, -1  # malloc.h


def find_device(name: str, option: str = "--device") -> torch.device:
    """ "auto": CUDA where there is one, of several launched processes each its own card. Raises
    ValueError for a device that is not there."""
    if name in ("auto", "cuda") and torch.cuda.is_available():
        return _own_card()
    if name == "auto":
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{option} {name!r} cannot be used ({reason}); try 'cpu'") from None
    return device


def _own_card() -> torch.device:
    """Where a launcher shows each process one card alone, that is number 0 for all."""
    if (process := this_process()).count == 1:
        return torch.device("cuda")
    card = torch.device("cuda", process.local_rank % torch.cuda.device_count())
    torch.cuda.set_device(card)  # what is put on "cuda" by others follows
    return card


def judge_device(name: str) -> torch.device:
    """The same for a judge, whose device is one of its settings."""
    return find_device(name, "judge setting device")


def dtype_on(device: torch.device, asked: str = "auto") -> str:
    """What `--dtype` comes to: "auto" is "bfloat16" on a card that multiplies it by itself (Ampere
    and later), else "float32"; float16, which overflows in some models, is only ever asked for."""
    if asked != "auto":
        return asked
    if device.type != "cuda":
        return "float32"
    with torch.cuda.device(device):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float32"


def use_tensor_cores(device: torch.device) -> None:
    """float32 matmuls in TF32 on a card that has it: 10 bits of mantissa (NVIDIA A100 whitepaper),
    several times as fast. diffusers' training scripts have it as `--allow_tf32`."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True


def keep_freed_memory(device: torch.device) -> None:
    """On a CPU, let malloc keep what tensors free instead of mapping and clearing it each time.

    Measured once on mini-sd: 23.1 pairs/s in training against 18.7 (docs/log.md).
    """
    _tell_malloc(device, {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1})


def give_freed_memory_back(device: torch.device) -> None:
    """On a CPU, the opposite: what is freed is the system's again at once, whatever lies beside it.

    Where blocks of a divided model come and go among what stays, half of the memory would be holes.
    """
    _tell_malloc(device, {M_MMAP_MAX: 1 << 16, M_MMAP_THRESHOLD: 1 << 18})


def _tell_malloc(device: torch.device, asked: Mapping[int, int]) -> None:
    if device.type != "cpu" or sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's
        for parameter, value in asked.items():
            libc.mallopt(parameter, value)


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 by itself; emulated it is a hundred times slower."""
    native = torch.cpu.get_capabilities()
    return bool(native.get("avx512_bf16") or native.get("amx_bf16"))


def autocast() -> torch.autocast:
    """bf16 where the CPU has it, else float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bf16())

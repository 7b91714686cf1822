"""What this machine has: versions, processors, cards. `sipo env` and `sipo doctor` tell of it."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("sipo", "torch", "diffusers", "transformers", "accelerate", "peft")


@dataclass(frozen=True)
class Card:
    """A GPU; memory in bytes."""

    place: str  # "cuda:0"
    name: str
    memory: int
    free: int
    bfloat16: bool
    driver: str  # of CUDA or ROCm, as torch was built for


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def system() -> str:
    return f"{platform.python_version()} on {platform.platform()}"


def cards() -> list[Card]:
    """Those that torch can use."""
    import torch

    if not torch.cuda.is_available():
        return []
    found = []
    for number in range(torch.cuda.device_count()):
        with torch.cuda.device(number):
            free, memory = torch.cuda.mem_get_info()
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        build = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
        name = torch.cuda.get_device_name(number)
        found.append(Card(f"cuda:{number}", name, memory, free, native, build))
    return found


def processor() -> str:
    """The CPU's name and how many cores there are."""
    return f"{_processor_name()}, {os.cpu_count()} cores"


def memory_bytes() -> int | None:
    """Of the machine; None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _processor_name() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [
                line.partition(":")[2].strip() for line in lines if line.startswith("model name")
            ]
        return next(iter(names), platform.machine())
    return platform.processor() or platform.machine()


def facts() -> dict[str, str]:
    """Versions and devices, as a report of a fault needs them."""
    found = {name: version_of(name) or "not installed" for name in PACKAGES}
    found["python"] = system()
    found |= {card.place: f"{card.name} ({card.driver})" for card in cards()}
    return found | {"cpu": processor()}


def lines() -> list[str]:
    return [f"{name:13} {text}" for name, text in facts().items()]

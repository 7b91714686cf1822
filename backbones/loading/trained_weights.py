"""What --weights and --init_weights may name, told without loading a model.

A folder of sipo-train (or a checkpoint in it), a LoRA's .safetensors file or the folder it lies in,
a folder with a whole denoiser; a folder whose high/ and low/ are such, for a checkpoint of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sipo.backbones.loading.model_folders import check_model
from sipo.common.files.tensor_files import read_header, refuse_no_weights, refuse_pickle
from sipo.common.files.urls import place_of
from sipo.common.files.working_folders import at_hand

LORA_FILE = "pytorch_lora_weights.safetensors"
PEFT_FILE = "adapter_model.safetensors"  # as peft's own save_pretrained names it
PEFT_CONFIG = "adapter_config.json"  # beside its file
DENOISERS = ("unet", "transformer", "transformer_2")
"""The subfolders in which diffusers checkpoints keep one."""
EXPERTS = ("high", "low")
"""Of noise: those of a checkpoint that has two denoisers, and the subfolders of their weights."""
EXPERT = "expert"  # in the header of a LoRA's file
MARKS = ("lora", "lokr_", "hada_", "dora_scale", ".diff")
"""One of them is in the names of every kind of adapter."""
_FORMS = "a folder that sipo-train wrote, or a LoRA's .safetensors file"


@dataclass(frozen=True)
class Weights:
    """One of the two: the file of a LoRA, or the folder that has a denoiser's folder in it."""

    lora: Path | None = None
    whole: Path | None = None


def check_weights(path: str | Path, option: str = "--weights") -> None:
    """Raises ValueError for what cannot be such weights: absent, empty, cut off, of other things.

    Whether they fit the backbone is found when they are loaded.
    """
    if path and (experts := of_experts(path)):
        for place in experts.values():
            check_weights(place, option)
        return
    found = find_weights(path, option)
    if found.lora is not None:
        check_lora(found.lora, option)
        return
    assert found.whole is not None
    for name in DENOISERS:
        if (found.whole / name).is_dir():
            check_model(found.whole / name, option)


def of_experts(path: str | Path) -> dict[str, Path]:
    """The weights of each expert in a folder of nothing else: high/, low/ or both."""
    place = place_of(path)
    if any((place / name).exists() for name in (LORA_FILE, PEFT_FILE)):
        return {}
    return {name: place / name for name in EXPERTS if (place / name).is_dir()}


def expert_of(lora: Path, option: str) -> str:
    """Which expert a LoRA's file says that it is of; "" where it says nothing."""
    return read_header(lora, option).metadata.get(EXPERT, "")


def is_of_second(lora: Path) -> bool:
    """Whether diffusers has to be told to load it into the second of two denoisers."""
    return lora.is_file() and expert_of(lora, "LoRA") == EXPERTS[1]


def check_lora(file: Path, option: str) -> None:
    """Raises ValueError for a file that is no safetensors, or in which nothing is an adapter's."""
    names = list(read_header(file, option).shapes)
    if not any(mark in name for name in names for mark in MARKS):
        raise ValueError(
            f"{option} {str(file)!r} holds no LoRA: its first tensor is {names[0]!r}; give {_FORMS}"
        )


def find_weights(
    path: str | Path, option: str = "--weights", denoisers: Sequence[str] = DENOISERS
) -> Weights:
    """Where they lie on this machine: by URL they are fetched. `denoisers` are the subfolders a
    whole denoiser may be in."""
    if not str(path):
        raise ValueError(f"{option} is empty; give {_FORMS}, or leave it out")
    found = _find(place_of(path), option, denoisers)
    if found.whole is not None:
        return Weights(whole=at_hand(found.whole, denoisers))
    assert found.lora is not None
    beside = at_hand(found.lora.parent, (found.lora.name, PEFT_CONFIG))
    return Weights(lora=beside / found.lora.name)


def _find(path: Path, option: str, denoisers: Sequence[str]) -> Weights:
    if not path.exists():
        raise ValueError(f"{option} {str(path)!r} does not exist; give {_FORMS}")
    if path.is_file():
        return Weights(lora=_as_lora(path, option))
    for name in (LORA_FILE, PEFT_FILE):
        if (path / name).is_file():
            return Weights(lora=path / name)
    if any((path / name).is_dir() for name in denoisers):
        return Weights(whole=path)
    if _is_shards(path):
        raise ValueError(f"{option} {str(path)!r} is a folder of sipo-data; give {_FORMS}")
    if experts := of_experts(path):
        raise ValueError(
            f"{option} {str(path)!r} has weights of experts ({', '.join(experts)}), and one is "
            f"wanted; give {str(next(iter(experts.values())))!r}"
        )
    if single := _single(path, option):
        return Weights(lora=_as_lora(single, option))
    raise ValueError(
        f"{option} {str(path)!r} holds neither {LORA_FILE} nor "
        f"{' nor '.join(f'{name}/' for name in denoisers)}; give {_instead(path, denoisers)}"
    )


def _as_lora(file: Path, option: str) -> Path:
    if file.suffix != ".safetensors":
        with file.open("rb") as opened:
            first, where = opened.read(64), f"{option} {str(file)!r}"
        refuse_no_weights(first, where)
        refuse_pickle(first, where)
        raise ValueError(f"{option} {str(file)!r} is no .safetensors file; give {_FORMS}")
    if (file.parent / "config.json").is_file() and file.parent.name in DENOISERS:
        raise ValueError(
            f"{option} {str(file)!r} is of a whole denoiser; give the folder that "
            f"{file.parent.name}/ is in: {str(file.parent.parent)!r}"
        )
    return file


def _is_shards(folder: Path) -> bool:
    """Whose embeddings are .safetensors, too."""
    config = folder / "config.json"
    return config.is_file() and b'"sipo shards' in config.read_bytes()


def _single(folder: Path, option: str) -> Path | None:
    """The one weight file of another name in a folder; a pickle only to be refused by name."""
    for pattern in ("[!.]*.safetensors", "[!.]*.bin"):
        files = sorted(folder.glob(pattern))
        if len(files) > 1:
            names = ", ".join(file.name for file in files[:3])
            raise ValueError(
                f"{option} {str(folder)!r} holds {len(files)} weight files ({names}, ...); "
                "give the one that is meant"
            )
        if files:
            return files[0]
    return None


def _instead(folder: Path, denoisers: Sequence[str]) -> str:
    """A remedy: what lies in or over the folder that was meant instead."""
    if folder.name in denoisers and any(folder.glob("*.safetensors*")):
        return f"the folder it is in: {str(folder.parent)!r}"
    saved = [p for p in folder.glob("checkpoint-*") if p.name.partition("-")[2].isdigit()]
    if saved:
        newest = max(saved, key=lambda p: int(p.name.partition("-")[2]))
        return f"a checkpoint of that run: {str(newest)!r}"
    return _FORMS

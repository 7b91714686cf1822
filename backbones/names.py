"""What a backbone and its weights may be called by, checked without loading a model."""

from __future__ import annotations

import json
from pathlib import Path

EMBEDDED = ("mini-sd",)
"""The models that come with sipo; what is embedded beside them, suites and judges, is for them."""

LORA_FILE = "pytorch_lora_weights.safetensors"
_DENOISERS = ("unet", "transformer")


def is_embedded(name: str) -> bool:
    """Whether it is an embedded model, by its name or by its folder."""
    if name in EMBEDDED:
        return True
    from sipo.mini import WEIGHTS

    return Path(name).resolve() in {(WEIGHTS / one).resolve() for one in EMBEDDED}


def check_name(name: str) -> None:
    """Raises ValueError for what is no embedded model, no diffusers folder and no hub id."""
    folder = Path(name)
    known = name in EMBEDDED or (folder / "model_index.json").is_file()
    if not known and (folder.exists() or not _is_hub_id(name)):
        raise ValueError(
            f"--backbone {name!r} is neither an embedded model ({', '.join(EMBEDDED)}), a "
            "diffusers folder (one with model_index.json) nor a hub id like 'owner/name'"
        )


def check_weights(folder: Path) -> None:
    """Raises ValueError for what `sipo-train` did not leave behind. Opens no tensor."""
    given = f"--weights {str(folder)!r}"
    if not folder.is_dir():
        raise ValueError(f"{given} is not a folder; give a run of sipo-train")
    if (folder / LORA_FILE).is_file():
        return
    if any((folder / part / "config.json").is_file() for part in _DENOISERS):
        return
    what = "a folder of sipo-data" if _is_shards(folder) else "no run of sipo-train"
    raise ValueError(
        f"{given} is {what}: it holds neither {LORA_FILE} nor {'/ nor '.join(_DENOISERS)}/; "
        "give the folder that sipo-train wrote with --out, or a checkpoint-N in it"
    )


def _is_shards(folder: Path) -> bool:
    try:
        return str(json.loads((folder / "config.json").read_bytes())["format"]).startswith("sipo")
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _is_hub_id(name: str) -> bool:
    owner, _, repository = name.partition("/")
    return bool(owner and repository) and not name.startswith((".", "/")) and "/" not in repository

"""Weights by path or by hub id, never by running what is in them.

Of a hub repository only configuration, tokenizer and safetensors are taken. Single files of other
projects come as `.pt`; they are read with torch's restricted unpickler, which builds tensors only.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.files.strict_json import load_json
from sipo.common.files.tensor_files import read_header, read_tensors, refuse_no_weights
from sipo.common.hub import cached_unless_reachable

if TYPE_CHECKING:
    from torch import Tensor

_CONFIGURATION = ["*.json", "*.txt", "*.jinja", "*.model"]
_WEIGHTS = ["model*.safetensors"]
_SHA256 = re.compile(r"[0-9a-f]{64}")


def find_folder(weights: str | Path, needs_weights: bool = True) -> Path:
    """The folder of a transformers model: a path, or a hub id, downloaded if need be.

    Raises ValueError where there is neither, and for a folder without configuration or weights.
    """
    if here := local_folder(weights, needs_weights):
        return here
    from huggingface_hub import snapshot_download

    patterns = _CONFIGURATION + (_WEIGHTS if needs_weights else [])
    try:
        return Path(snapshot_download(str(weights), allow_patterns=patterns))
    except Exception as error:
        raise ValueError(_missing(weights, error)) from None


def local_folder(weights: str | Path, needs_weights: bool = True) -> Path | None:
    """The same without torch and without a download; None where the hub has it and answers."""
    if not str(weights):
        raise ValueError("judge weights are empty; give a folder, or leave them out")
    if (folder := Path(weights)).is_dir():
        wanted = ("config.json", "*.safetensors") if needs_weights else ()
        if lacks := [pattern for pattern in wanted if not any(folder.glob(pattern))]:
            raise ValueError(
                f"judge weights {str(weights)!r} lack {' and '.join(lacks)}; give a folder as "
                "transformers' save_pretrained writes it"
            )
        check_files(folder)
        return folder
    if Path(weights).exists():
        raise ValueError(f"judge weights {str(weights)!r} are a file; give the model's folder")
    return cached_unless_reachable(str(weights), f"judge weights {str(weights)!r}")


def check_files(folder: Path) -> None:
    """Raises ValueError that names a configuration or a weight file that is not whole."""
    for path in sorted(folder.glob("*.json")):
        try:
            load_json(path.read_bytes())
        except ValueError:
            raise ValueError(
                f"judge weights: {str(path)!r} is not whole JSON; get it again"
            ) from None
    for path in sorted(folder.glob("*.safetensors")):
        read_header(path, "judge weights")


def find_file(weights: str | Path | None, repository: str, name: str) -> Path:
    """A single file: the path given, or `name` of a hub repository, downloaded if need be."""
    here = local_file(weights, repository, name)
    if here and weights is not None:
        return here
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, name, local_files_only=here is not None))
    except Exception as error:
        raise ValueError(_missing(f"{repository}/{name}", error)) from None


def local_file(weights: str | Path | None, repository: str, name: str) -> Path | None:
    """The same without a download: that path, or what the hub's cache has of the repository; None
    where the hub has it and answers."""
    if weights is None:
        return cached_unless_reachable(repository, f"judge weights '{repository}/{name}'")
    if not Path(weights).is_file():
        raise ValueError(f"judge weights {str(weights)!r} are no file; give one like {name}")
    return Path(weights)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or `.pt` file, those under "state_dict" where it has that."""
    from torch import Tensor

    from sipo.common.files.torch_files import read_torch

    if path.suffix == ".safetensors":
        return read_tensors(path, "judge weights")
    with path.open("rb") as file:
        refuse_no_weights(file.read(64), f"judge weights {str(path)!r}")
    try:
        value = read_torch(path)
    except ValueError:
        raise ValueError(
            f"judge weights {str(path)!r} are not plain tensors, or damaged; give the official file"
        ) from None
    value = value.get("state_dict", value) if isinstance(value, dict) else value
    if not isinstance(value, dict) or not all(isinstance(v, Tensor) for v in value.values()):
        raise ValueError(f"judge weights {str(path)!r} hold no state dict; give the official file")
    return value


def describe_folder(folder: Path) -> dict[str, object]:
    """Name and hash of a model's weights, for a judge's `describe`."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(sha256(path).encode())
    return {"weights": _name(folder), "weights_sha256": digest.hexdigest()}


def describe_file(named: Path, file: Path | None = None) -> dict[str, object]:
    """The same of weights in one `file`; `named` is what they are called by."""
    return {"weights": named.name, "weights_sha256": sha256(file or named)}


@lru_cache(maxsize=32)
def sha256(path: Path) -> str:
    """Of a file; in the hub's cache large files are named by it."""
    if _SHA256.fullmatch(blob := path.resolve().name):
        return blob
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(folder: Path) -> str:
    """A hub id out of its place in the cache, else the folder's own name."""
    for part in folder.parts:
        if part.startswith("models--"):
            return part.removeprefix("models--").replace("--", "/")
    return folder.resolve().name


def _missing(what: str | Path, error: Exception) -> str:
    return (
        f"judge weights {str(what)!r} are neither here nor to be had from the model hub "
        f"({type(error).__name__}); download them elsewhere and give their path"
    )

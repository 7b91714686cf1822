"""Folders of models, looked through before anything of them is loaded.

Of every weight file that would be read its first bytes, so that a download that broke off is told
by its name and in no time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from sipo.common.files.strict_json import load_json
from sipo.common.files.tensor_files import AGAIN, POINTER, read_header, refuse_no_weights

INDEX = "model_index.json"
_STEMS = ("diffusion_pytorch_model", "model")  # diffusers', transformers'
_PICKLES = ("diffusion_pytorch_model.bin", "pytorch_model.bin")
_NO_MODELS = ("Scheduler", "Tokenizer", "Processor", "Extractor", "Guidance")
"""Classes of components that have no weights."""


def read_index(folder: Path, what: str) -> dict[str, object]:
    """model_index.json. Raises ValueError where it is not one."""
    index = read_config(folder / INDEX, what)
    if not isinstance(index.get("_class_name"), str):
        raise ValueError(f"{what} {str(folder / INDEX)!r} names no _class_name; {AGAIN}")
    return index


def read_config(path: Path, what: str) -> dict[str, object]:
    """A JSON object. Raises ValueError that names the file."""
    data = path.read_bytes()
    if data.startswith(POINTER):
        raise ValueError(
            f"{what} {str(path)!r} is a pointer of Git LFS, not the file itself; run 'git lfs pull'"
        )
    try:
        value = load_json(data)
    except ValueError:
        raise ValueError(f"{what} {str(path)!r} is not whole JSON; {AGAIN}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{what} {str(path)!r} holds no JSON object; {AGAIN}")
    return value


def check_pipeline(folder: Path, what: str, only: Collection[str] = ()) -> None:
    """Every component that model_index.json names (of those `only`, if any) is there and whole.

    Raises ValueError that names the file and the remedy.
    """
    for name, value in read_index(folder, what).items():
        if name.startswith("_") or not isinstance(value, list) or None in value:
            continue
        if only and name not in only:
            continue
        if not (folder / name).is_dir():
            raise ValueError(f"{what} {str(folder)!r} lacks its folder {name}/; {AGAIN}")
        for config in sorted((folder / name).glob("*.json")):
            if not config.name.endswith(".index.json"):
                _check_json(config, what)
        if not any(kind in str(value[1]) for kind in _NO_MODELS):
            check_model(folder / name, what)


def check_model(folder: Path, what: str) -> None:
    """The files that `from_pretrained` would read are there and whole.

    Raises ValueError that names the first that is not.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"{what} {str(folder)!r} lacks config.json; {AGAIN}")
    read_config(folder / "config.json", what)
    files = list(weight_files(folder, what))
    pickles = [folder / name for name in _PICKLES if (folder / name).is_file()]
    if not files and not pickles:
        raise ValueError(
            f"{what} {str(folder)!r} holds no weights ({_STEMS[0]}.safetensors or "
            f"{_STEMS[1]}.safetensors); {AGAIN}"
        )
    for file in files:
        read_header(file, what)
    for file in [] if files else pickles:
        with file.open("rb") as opened:
            refuse_no_weights(opened.read(64), f"{what} {str(file)!r}")


def weight_files(folder: Path, what: str) -> Iterable[Path]:
    """The safetensors that `from_pretrained` takes: one, or the shards that an index lists."""
    for stem in _STEMS:
        if (file := folder / f"{stem}.safetensors").is_file():
            yield file
            return
        if (index := folder / f"{stem}.safetensors.index.json").is_file():
            placed = read_config(index, what).get("weight_map")
            for name in sorted(set(placed.values())) if isinstance(placed, dict) else ():
                if not (folder / name).is_file():
                    raise ValueError(f"{what} {str(folder / name)!r} is missing; {AGAIN}")
                yield folder / name
            return


def _check_json(path: Path, what: str) -> None:
    try:
        load_json(path.read_bytes())
    except ValueError:
        read_config(path, what)  # says what it is

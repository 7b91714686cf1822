"""What `sipo doctor` looks at, each with what was found and, where it can be better, how."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Literal

from sipo import machine
from sipo.common.amounts import size
from sipo.common.drivers import may_have_card
from sipo.common.files.disk_room import LEAST, free_bytes
from sipo.common.files.places import require_place
from sipo.common.hub import cache_of, is_offline, unreachable

State = Literal["ok", "note", "stop"]
ROOM = 20e9
"""Bytes that a folder of shards of a large model and its runs soon have."""
TRIED = 32 * 2**20
"""Bytes that are written to see how fast a disk is."""
SLOW = 50e6


@dataclass(frozen=True)
class Check:
    """`stop`: the embedded loop cannot run. `note`: something else cannot, or will be slow."""

    name: str
    state: State
    found: str
    mend: str = ""  # one sentence

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def all_checks(out: Path) -> Iterator[Check]:
    yield from python_and_packages()
    yield from devices()
    yield from embedded_weights()
    yield published_weights()
    yield disk(out)
    yield hub()
    yield from extras()
    yield compiler()


def python_and_packages() -> Iterator[Check]:
    """Against what the package itself asks for."""
    yield Check("python", "ok", machine.system())
    yield Check("sipo", "ok", machine.version_of("sipo") or "not installed as a package")
    wrong = [asked for asked in _required("") if not _holds(asked)]
    there = ", ".join(f"{name} {machine.version_of(name)}" for name in machine.PACKAGES[1:])
    if wrong:
        words = " ".join(f"'{asked}'" for asked in wrong)
        yield Check("packages", "stop", f"{there}; not as needed: {words}", f"pip install {words}")
    else:
        yield Check("packages", "ok", there)


def _required(extra: str) -> list[str]:
    """As pip writes them, without what stands behind their semicolon."""
    found = []
    for row in requires("sipo") or ():
        asked, _, condition = (part.strip() for part in row.partition(";"))
        named = "extra ==" in condition
        if (f"'{extra}'" in condition.replace('"', "'")) if extra else not named:
            found.append(asked)
    return found


def _holds(asked: str) -> bool:
    from packaging.requirements import Requirement

    wanted = Requirement(asked)
    there = machine.version_of(wanted.name)
    return there is not None and wanted.specifier.contains(there, prereleases=True)


def devices() -> Iterator[Check]:
    try:
        import torch

        cards = machine.cards()
    except (ImportError, OSError, RuntimeError) as error:
        yield Check("torch", "stop", f"cannot be used: {error}", "install torch again")
        return
    for card in cards:
        bits = "bfloat16" if card.bfloat16 else "no bfloat16, so float32"
        memory = f"{size(card.free)} of {size(card.memory)} free"
        yield Check(card.place, "ok", f"{card.name}, {memory}, {bits} ({card.driver})")
    if not cards and may_have_card() and sys.platform == "linux":
        mend = "install torch as built for its driver, see pytorch.org/get-started"
        found = f"a driver is here, and torch {torch.__version__} uses no card"
        yield Check("GPU", "note", found, mend)
    elif not cards and torch.backends.mps.is_available():
        yield Check("MPS", "note", "is here; auto is the CPU, and --device mps was never tried")
    elif not cards:
        yield Check(
            "GPU", "note", "none: the embedded world is made for CPUs, large models want one"
        )
    from sipo.common.devices import has_bf16

    of_machine = machine.memory_bytes()
    has = f", {size(of_machine)} of memory" if of_machine else ""
    yield Check("cpu", "ok", f"{machine.processor()}{has}, {'' if has_bf16() else 'no '}bfloat16")


def embedded_weights() -> Iterator[Check]:
    """By the hashes that are installed beside them."""
    from sipo.weights import SUMS, WEIGHTS

    again = "install sipo again; of a clone, check that Git LFS and filters left weights/ alone"
    try:
        rows = [
            line.split(maxsplit=1)
            for line in (WEIGHTS / SUMS).read_text(encoding="utf-8").splitlines()
        ]
    except OSError as error:
        yield Check("weights", "stop", f"{error.strerror}: {error.filename}", again)
        return
    wrong = [name for digest, name in rows if _digest(WEIGHTS / name) != digest]
    if wrong:
        yield Check("weights", "stop", f"missing or changed: {', '.join(wrong)}", again)
    else:
        names = ", ".join(sorted({Path(name).parts[0] for _, name in rows}))
        yield Check("weights", "ok", f"{names}: all {len(rows)} files have their hashes")


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def published_weights() -> Check:
    """Judges that are not embedded, as far as they are on this machine."""
    from huggingface_hub import constants

    from sipo.feedback import published_weights as known

    judges = {
        "yolo-world's text encoder": known.CLIP_B,
        "mask2former": known.MASK2FORMER,
        "colours by CLIP": known.VIT_L,
        "owlv2": known.OWLV2,
        "pickscore": known.PICKSCORE,
        "hpsv2": known.HPS,
        "image-reward": known.IMAGE_REWARD,
        "vlm": known.VLM,
        "hpsv3": known.HPSV3,
        "videoalign": known.VIDEO_REWARD,
        "Qwen2-VL-7B of hpsv3": known.QWEN2_VL_7B,
        "Qwen2-VL-2B of videoalign": known.QWEN2_VL_2B,
        "unified-reward": known.UNIFIED_REWARD,
    }
    there = [name for name, source in judges.items() if cache_of(source).is_dir()]
    there += [name for name in known.YOLO_FILES if (known.torch_cache() / name).is_file()]
    where = f"{constants.HF_HUB_CACHE} and {known.torch_cache()}"
    if not there:
        found = f"none but the embedded ones in {where}; others are downloaded when first asked for"
        return Check("judges", "note", found)
    return Check("judges", "ok", f"{', '.join(there)} in {where}")


def disk(out: Path) -> Check:
    """Room, and how fast it takes what is written."""
    where = out.absolute()
    try:
        require_place(out)
        free = free_bytes(out)
        if free < LEAST:
            raise OSError(None, f"{size(free)} free")
        speed = _written_per_s(next(part for part in (where, *where.parents) if part.is_dir()))
    except OSError as error:
        mend = "free some space, or give another folder as --out"
        return Check("disk", "stop", f"{where}: {error.strerror or error}", mend)
    found = f"{where}: {size(free)} free, written at {size(speed)}/s"
    if free < ROOM:
        return Check("disk", "note", found, f"a large model's shards and runs want {size(ROOM)}")
    if speed < SLOW:
        return Check("disk", "note", found, "it is slow; put shards and runs on a local disk")
    return Check("disk", "ok", found)


def _written_per_s(folder: Path) -> float:
    data = os.urandom(2**20)
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        for _ in range(TRIED // len(data)):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return TRIED / (time.perf_counter() - began)


def hub() -> Check:
    from huggingface_hub import constants, get_token

    key = "logged in" if get_token() else "not logged in"
    if is_offline():
        found = "HF_HUB_OFFLINE is set: only the cache is looked at"
        return Check("hub", "note", found, "unset HF_HUB_OFFLINE to download models")
    if reason := unreachable(constants.ENDPOINT):
        mend = "connect, set HTTPS_PROXY, or bring models as folders; nothing embedded needs it"
        return Check("hub", "note", reason, mend)
    return Check("hub", "ok", f"{constants.ENDPOINT} answers, {key}")


EXTRAS = {
    "data": "parquet and datasets, in and out",
    "s3": "shards in buckets",
    "ray": "clusters",
    "wandb": "Weights & Biases",
    "trackio": "Trackio",
    "ocr": "reading texts in images (--judge ocr)",
    "quantize": "4 and 8 bit models, 8-bit Adam",
}
"""Of pyproject.toml -> what for."""


def extras(holds: Callable[[str], bool] = _holds) -> Iterator[Check]:
    for extra, use in EXTRAS.items():
        missing = [asked for asked in _required(extra) if not holds(asked)]
        if missing:
            mend = f"pip install 'sipo[{extra}]' for {use}"
            yield Check(f"[{extra}]", "note", f"not installed ({', '.join(missing)})", mend)
        else:
            yield Check(f"[{extra}]", "ok", use)


def compiler() -> Check:
    found = next(filter(None, map(shutil.which, ("g++", "clang++"))), None)
    if found:
        return Check("compiler", "ok", f"{found}, for --compile")
    return Check("compiler", "note", "none", "install g++ if you want --compile")

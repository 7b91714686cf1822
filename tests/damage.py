"""What stands where a weight file should, most often."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n"
PAGE = b"<!DOCTYPE html><html>404</html>"

Damage = Callable[[Path], object]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def cut_in_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def other_header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[9:12] = b"\xff\xff\xff"
    path.write_bytes(data)


def no_tensors(path: Path) -> None:
    header = json.dumps({"__metadata__": {"format": "pt"}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


DAMAGE: dict[str, tuple[Damage, str]] = {
    "cut": (cut, "is cut off.*get it again"),
    "cut in the header": (cut_in_header, "is cut off.*get it again"),
    "header": (other_header, "damaged header; get it again"),
    "empty": (lambda path: path.write_bytes(b""), "is empty; get it again"),
    "pointer": (lambda path: path.write_bytes(POINTER), "git lfs pull"),
    "page": (lambda path: path.write_bytes(PAGE), "is a web page.*get it again"),
    "pickle": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)), "is a pickle"),
    "noise": (lambda path: path.write_bytes(bytes(range(200))), "no safetensors file"),
    "no tensors": (no_tensors, "holds no tensors"),
}
"""By name: what is done to a good file, and what is said of it beside its name."""

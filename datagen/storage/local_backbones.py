"""Where a local backbone lay when shards were made: a help to find it again, no part of the shards.

`config.json` says its folder's name and the hash of its weights, and no path; `sources.json` has
the paths as they were typed. No digest knows that file, and nothing is lost with it but the help.
"""

from __future__ import annotations

from pathlib import Path

from sipo.backbones.loading.names import EMBEDDED
from sipo.common.files.strict_json import load_json
from sipo.common.files.text import read_text
from sipo.common.files.urls import UrlPath
from sipo.common.files.writing import write_json

FILE = "sources.json"


def remember(shards: Path, backbone: str, weights: Path | None = None) -> None:
    """Nothing of embedded models and hub ids, which are found by their names."""
    local = backbone not in EMBEDDED and Path(backbone).is_dir()
    if local:
        typed = {"backbone": backbone} | ({"weights": str(weights)} if weights else {})
        write_json(shards / FILE, typed)
    else:
        (shards / FILE).unlink(missing_ok=True)


def recall(shards: Path) -> dict[str, str]:
    """`backbone` and, where a trained policy had sampled, `weights`; {} where nothing is known."""
    try:
        content = load_json(read_text(shards / FILE))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: path for name, path in content.items() if isinstance(path, str)}


def places(shards: Path, typed: str) -> list[Path]:
    """Where a path that was typed then can be now: from here, and beside the shards."""
    if isinstance(shards, UrlPath):  # models lie on this machine
        return [Path(typed), Path(Path(typed).name)]
    beside = shards.resolve().parent
    found = [Path(typed), beside / typed, beside / Path(typed).name, Path(Path(typed).name)]
    return list({path.resolve(): path for path in reversed(found)}.values())[::-1]

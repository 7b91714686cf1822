"""What VBench wrote: `*_eval_results.json`, {dimension: [score, per clip]}.

Source: Vchitect/VBench, `vbench/__init__.py` (files) and the files of the dimensions (clips).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sipo.common.files.strict_json import load_json
from sipo.common.files.text import read_text

FILES = "*_eval_results.json"
_CLIP_UNIT = {"imaging_quality": 100.0}
"""A clip's score in units of its dimension's: MUSIQ's 0 to 100 is divided only in the mean."""


@dataclass(frozen=True)
class Dimension:
    """`score` as VBench says it, and of each clip, by its file's name; both in [0, 1]."""

    score: float
    clips: dict[str, float]


def read_results(paths: Sequence[Path]) -> dict[str, Dimension]:
    """Dimension -> its scores, of files or of folders of them.

    Raises ValueError for other files, for a score outside of [0, 1], and where two files disagree.
    """
    found: dict[str, Dimension] = {}
    source: dict[str, Path] = {}
    for path in (file for entry in paths for file in _files(entry)):
        for name, dimension in _read(path).items():
            if found.get(name, dimension) != dimension:
                raise ValueError(
                    f"{str(source[name])!r} and {str(path)!r} differ in {name}; give the files of "
                    "one evaluation"
                )
            found[name], source[name] = dimension, path
    return found


def _files(path: Path) -> list[Path]:
    files = sorted(path.glob(FILES)) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        problem = f"holds no {FILES}" if path.is_dir() else "does not exist"
        raise ValueError(f"{str(path)!r} {problem}; give VBench's {FILES}")
    return files


def _read(path: Path) -> dict[str, Dimension]:
    try:
        rows = load_json(read_text(path, "results"))
        found = {
            name.replace(" ", "_"): Dimension(float(row[0]), dict(_clips(name, row[1:])))
            for name, row in rows.items()
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise ValueError(
            f"{str(path)!r} is not {{dimension: [score, per clip]}}; give VBench's {FILES}"
        ) from None
    for name, dimension in found.items():
        if wrong := [clip for clip, score in dimension.clips.items() if not math.isfinite(score)]:
            raise ValueError(
                f"{str(path)!r} has {name} of {wrong[0]!r}, which is no number; evaluate it again"
            )
        if not 0 <= dimension.score <= 1:
            raise ValueError(
                f"{str(path)!r} has {name} {dimension.score:g}, which is not in 0 to 1; give "
                "scores as VBench writes them, not percent"
            )
    return found


def _clips(
    name: str, rest: Sequence[Sequence[Mapping[str, str | float]]]
) -> Iterator[tuple[str, float]]:
    unit = _CLIP_UNIT.get(name.replace(" ", "_"), 1.0)
    for clip in rest[0] if rest else []:
        yield Path(str(clip["video_path"])).name, float(clip["video_results"]) / unit

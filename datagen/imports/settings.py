"""What `sipo-data import` is asked, and the canonical form of it that the folder remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sipo.common.settings import ARGUMENTS, OUT, StrictModel, setting
from sipo.datagen.generation.config import versions_of
from sipo.datagen.imports.untrusted_images import Size
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_config import FORMAT, NOBODY, PEOPLE, FolderConfig, unencoded

FORMATS = ("pickapic", "hpdv2", "hpdv3", "folder", "webdataset", "hf", "candidates")
"""Each is a file of this folder, see registry.py."""
UNJUDGED = "candidates"
"""The one whose pictures nobody has judged."""
_HASHED_BYTES = 2**28  # of larger files only the size is looked at


_data = partial(setting, "Data")


class ImportSettings(StrictModel):
    """The command line of `import`."""

    format: str = setting(
        ARGUMENTS,
        "Layout of the source: pickapic (parquet), hpdv2 or hpdv3 (JSON and images), folder (JSON "
        "or CSV with prompt, winner, loser), webdataset (tars with jpg_0, jpg_1, label_0, label_1, "
        "original_prompt), hf (a Hugging Face dataset or folder), or candidates (pictures of any "
        "engine, several a prompt, to be judged: a list or GenEval's folders).",
        ...,
        choices=FORMATS,
        metavar="FORMAT",
    )
    source: str = setting(ARGUMENTS, "File, folder or hub id to read.", ..., metavar="SOURCE")
    out: Path = OUT(Path("shards"), url=True)
    images: Path | None = _data("Folder where a list's paths begin.", None, without="the list's")
    split: str = _data("Split of a Hugging Face dataset.", "train")
    revision: str | None = _data("Revision of a Hugging Face dataset.", None, without="the newest")
    limit: int | None = _data("Pairs to import at most.", None, without="all", ge=1)
    resolution: int = _data("Height of pictures in pixels, and width.", 512, ge=8)
    width: int | None = _data(
        "Width of pictures that are no squares.", None, without="the resolution", ge=8
    )
    frames: int | None = _data("Frames of a clip.", None, without="the pairs are images", ge=1)
    fps: int | None = _data("Frames a second of clips.", None, ge=1)
    candidates: int | None = _data(
        "Pictures of each prompt, of the format candidates.",
        None,
        without="as many as the first prompt has",
        ge=2,
    )
    pairs_per_shard: int = setting(
        "Output", "Pairs in a shard, or prompts with their candidates.", 64, ge=1
    )
    workers: int | None = setting(
        "Machine", "Threads that look at pictures.", None, without="one a core", ge=1
    )
    follow_links: bool = _data("Pictures may be links out of the folder.", False)

    @property
    def size(self) -> Size:
        return self.width or self.resolution, self.resolution


def check_import(settings: ImportSettings) -> None:
    """Raises ValueError for what no source could make good."""
    if settings.format not in FORMATS:
        known = ", ".join(FORMATS)
        raise ValueError(f"format {settings.format!r} is unknown; choose one of {known}")
    for name, asked in zip(("--width", "--resolution"), settings.size, strict=True):
        if beyond := asked % 8:
            below = asked - beyond
            raise ValueError(f"{name} {asked} is not a multiple of 8; give {below} or {below + 8}")
    if (settings.frames is None) != (settings.fps is None):
        given, lacking = ("--frames", "--fps") if settings.frames else ("--fps", "--frames")
        raise ValueError(f"{given} was given without {lacking}; clips need both, images neither")
    if settings.candidates and settings.format != UNJUDGED:
        raise ValueError(
            f"--candidates {settings.candidates} has no effect on pairs; leave it out, or give the "
            f"format {UNJUDGED}"
        )
    if settings.out.resolve() == Path(settings.source).resolve():
        raise ValueError(f"--out {str(settings.out)!r} is the source itself; give a new folder")
    if settings.images is not None and not settings.images.is_dir():
        raise ValueError(f"--images {str(settings.images)!r} is no folder; give the images' root")


def config_of(settings: ImportSettings, files: Sequence[Path]) -> FolderConfig:
    """`config.json` of an import that begins: no paths and no times."""
    candidates = settings.candidates  # None of pairs
    clips = {} if settings.frames is None else {"fps": settings.fps}
    packages = ("pillow", "av") if clips else ("pillow",)
    asked = settings.model_dump(
        include={"format", "split", "revision", "limit", "resolution", "frames", "pairs_per_shard"}
    )
    if settings.size[0] != settings.resolution:
        asked["width"] = settings.width
    if candidates:
        asked["candidates"] = candidates
    if settings.follow_links:
        asked["follow_links"] = True
    row = {
        "format": FORMAT,
        "import": {
            **asked,
            "source": _name(settings.source),
            "source_sha256": _digest(settings.source, files),
            "versions": versions_of(*packages),
        },
        **unencoded(settings.format),
        **clips,
        "prompts": {"count": None, "sha256": None, "repeated": 0},
        "shards": 1,
        "rows": 0,
        "dropped": {},
        "seed": 0,
        "candidates": candidates or 2,
        "prompts_per_shard": settings.pairs_per_shard,
        **(_TO_BE_JUDGED if candidates else _judged_pairs(settings.format)),
    }
    return FolderConfig.model_validate(row)


_TO_BE_JUDGED: dict[str, object] = {
    "judge": {"id": NOBODY},
    **{
        name: GenerateSettings.model_fields[name].default
        for name in ("policy", "margin", "max_pairs_per_prompt")
    },
}


def _judged_pairs(format_: str) -> dict[str, object]:
    return {
        "judge": {"id": PEOPLE, "source": format_},
        "policy": "best-vs-worst",
        "margin": 0.0,
        "max_pairs_per_prompt": 1,
    }


def _name(source: str) -> str:
    """Of a path, its last part, also of "."; of a hub's dataset without its owner."""
    path = Path(source)
    return (path.resolve() if path.exists() else path).name


def _digest(source: str, files: Sequence[Path]) -> str:
    """Over the files that list the rows: names, sizes and, where they are small, contents."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        if size <= _HASHED_BYTES:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return (digest if files else hashlib.sha256(source.encode())).hexdigest()

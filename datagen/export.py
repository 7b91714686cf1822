"""Pairs as others read them: Pick-a-Pic's parquet, ORPO's WebDataset, a Hugging Face dataset,
FiftyOne's.

Pictures are the folder's own PNG, JPEG or MP4 bytes, never encoded again: names like jpg_0 are for
all, and readers look at content. What people decided in `sipo-data review` is heeded.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from sipo.datagen.fiftyone_export import write_fiftyone
from sipo.datagen.imports.parquet import require_package
from sipo.datagen.storage.decisions import LEFT_OUT, Decisions, names_of
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.folder_summary import allocated_line, count_allocated
from sipo.datagen.storage.pair_pictures import ROLES, pair_pictures
from sipo.datagen.storage.sample_json import PairJson, read_row
from sipo.datagen.storage.shard_folder import ShardFolder, open_folder
from sipo.datagen.storage.shard_index import PAIRS
from sipo.datagen.storage.shard_tar import TarSample, write_shard

Row = dict[str, object]
_SCHEMA = "huggingface"  # the key under which parquet files keep the features of `datasets`


@dataclass(frozen=True)
class Exported:
    text: str
    winner: bytes
    loser: bytes
    margin: float


def export_folder(path: str | Path, format_: str, out: Path) -> int:
    """Write all pairs to the new folder `out`, whole or not at all; returns how many.

    Raises ValueError for an unknown format, a folder without pairs, and an `out` that is there.
    """
    if format_ not in EXPORTS:
        formats = ", ".join(EXPORTS)
        raise ValueError(f"--format {format_!r} is unknown; choose one of {formats}")
    folder = open_folder(path)
    if out.exists():
        raise ValueError(f"--out {str(out)!r} is there already; give a new folder")
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        count = EXPORTS[format_](folder, temporary)
        if not count:
            raise ValueError(f"{path} holds no pairs; lower the margin with sipo-data pair")
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return count


def pairs_of(folder: ShardFolder, number: int) -> Iterator[Exported]:
    """The pairs of a shard as their reviewers left them."""
    index, tar = folder.pairs(number), folder.tar(PAIRS, number)
    decisions = Decisions(folder)
    names = names_of(folder, number) if decisions else {}
    pictures = pair_pictures(folder, number)
    for key, sample in index.samples.items():
        decision = decisions.of(names[key]) if decisions else None
        if decision in LEFT_OUT:
            continue
        row = read_row(tar, sample.members, PairJson)
        winner, loser = (pictures[key][role].read() for role in ROLES)
        pair = Exported(row.prompt.text, winner, loser, row.margin)
        flipped = replace(pair, winner=pair.loser, loser=pair.winner)
        yield flipped if decision == "flip" else pair


def _pickapic(folder: ShardFolder, out: Path) -> int:
    kind = _kind(folder)

    def row(pair: Exported) -> Row:
        return {
            "caption": pair.text,
            f"{kind}_0": pair.winner,
            f"{kind}_1": pair.loser,
            "label_0": 1.0,
            "label_1": 0.0,
            "are_different": True,
            "has_label": True,
            "margin": pair.margin,
        }

    return _write_parquet(folder, out, row, {})


def _webdataset(folder: ShardFolder, out: Path) -> int:
    kind, count = _kind(folder), 0

    def samples(number: int) -> Iterator[TarSample]:
        nonlocal count
        for place, pair in enumerate(pairs_of(folder, number)):
            count += 1
            fields = {
                f"{kind}_0.{kind}": pair.winner,
                f"{kind}_1.{kind}": pair.loser,
                "label_0.txt": b"1",
                "label_1.txt": b"0",
                "original_prompt.txt": pair.text.encode(),
                "margin.txt": repr(pair.margin).encode(),
            }
            yield TarSample(f"{number:05d}{place:04d}", fields)

    for number in folder.numbers:
        write_shard(out / f"{number:05d}.tar", samples(number), lambda: {"kind": "export"})
    return count


def _huggingface(folder: ShardFolder, out: Path) -> int:
    picture = {"_type": "Video" if folder.config.suffix == "mp4" else "Image"}
    features = {
        "prompt": {"dtype": "string", "_type": "Value"},
        "chosen": picture,
        "rejected": picture,
        "margin": {"dtype": "float64", "_type": "Value"},
    }

    def row(pair: Exported) -> Row:
        chosen, rejected = ({"bytes": data, "path": None} for data in (pair.winner, pair.loser))
        return {"prompt": pair.text, "chosen": chosen, "rejected": rejected, "margin": pair.margin}

    (out / "data").mkdir()
    metadata = {_SCHEMA: json.dumps({"info": {"features": features}})}
    count = _write_parquet(folder, out / "data", row, metadata)
    (out / "README.md").write_text(dataset_card(folder, count), encoding="utf-8")
    return count


EXPORTS: dict[str, Callable[[ShardFolder, Path], int]] = {
    "parquet": _pickapic,
    "webdataset": _webdataset,
    "hf": _huggingface,
    "fiftyone": write_fiftyone,
}


def _kind(folder: ShardFolder) -> str:
    return "mp4" if folder.config.suffix == "mp4" else "jpg"


def _write_parquet(
    folder: ShardFolder,
    out: Path,
    row: Callable[[Exported], Row],
    metadata: dict[str, str],
) -> int:
    """A file for each shard that has pairs; `metadata` goes into its schema."""
    pyarrow = require_package("pyarrow", "writing parquet")
    parquet = import_module("pyarrow.parquet")
    string, binary, number = pyarrow.string(), pyarrow.binary(), pyarrow.float64()
    picture = pyarrow.struct({"bytes": binary, "path": string})
    types = {"caption": string, "prompt": string, "chosen": picture, "rejected": picture}
    types |= {"label_0": number, "label_1": number, "margin": number}
    types |= {"are_different": pyarrow.bool_(), "has_label": pyarrow.bool_()}
    count = 0
    for shard in folder.numbers:
        rows = [row(pair) for pair in pairs_of(folder, shard)]
        if rows:
            fields = [(name, types.get(name, binary)) for name in rows[0]]
            schema = pyarrow.schema(fields, metadata=metadata)
            table = pyarrow.Table.from_pylist(rows, schema=schema)
            name = f"train-{shard:05d}-of-{folder.config.shards:05d}.parquet"
            parquet.write_table(table, out / name)
        count += len(rows)
    return count


def dataset_card(folder: ShardFolder, count: int) -> str:
    """What was made how, as the hub shows it; the licence is left for its owner to fill in."""
    config = folder.config
    row = config.as_read()
    shown = {name: value for name, value in row.items() if name not in ("format", "judge")}
    source = "imported from" if config.is_import else "sampled by"
    allocated = count_allocated(folder)
    more = f"\n{allocated_line(allocated).capitalize()}.\n" if allocated else ""
    return f"""---
license: other
license_name: to-be-filled-in
task_categories:
- text-to-{"video" if folder.config.suffix == "mp4" else "image"}
tags:
- preference
- sipo
configs:
- config_name: default
  data_files:
  - split: train
    path: data/*.parquet
---

# Preference pairs

{count} pairs of {config.prompts.count} prompts, {source} {_origin(config)}, judged by
`{config.judge.id}`. Columns: `prompt`, `chosen` (the winner), `rejected` (the
loser), `margin` (difference of the judge's scores, 0 to 1).
{more}
**Licence: placeholder.** Fill in `license` above; it depends on the model, the prompts and the
source of the pictures.

## Judge

```json
{json.dumps(config.judge.as_read(), indent=2, sort_keys=True)}
```

## Configuration

```json
{json.dumps(shown, indent=2, sort_keys=True)}
```
"""


def _origin(config: FolderConfig) -> str:
    if config.import_:
        return f"`{config.import_.source}` ({config.import_.format})"
    return f"`{config.backbone.name}`"

"""A row of a table with pictures in it, as parquet files and `datasets` have them.

caption, jpg_0, jpg_1, label_0, label_1        Pick-a-Pic; mp4_0, mp4_1 where they are clips
prompt, chosen, rejected                       TRL
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sipo.datagen.imports.rows import PairRow, by_labels, require_columns
from sipo.datagen.imports.values import (
    UnusableError,
    bytes_of,
    is_missing,
    label_of,
    margin_of,
    text_of,
    truth_of,
)

Reader = Callable[[str, Mapping[str, object]], PairRow]

PICTURES = ("jpg_0", "jpg_1", "mp4_0", "mp4_1", "chosen", "rejected")


def columns_of(names: list[str], where: str = "the table") -> tuple[tuple[str, ...], Reader]:
    """(the columns to read, how to read them). Raises ValueError for a table of another kind."""
    wanted: tuple[str, ...]
    for kind in ("jpg", "mp4"):
        wanted = ("caption", f"{kind}_0", f"{kind}_1", "label_0")
        more = ("label_1", "has_label", "are_different", "margin")
        if set(wanted) <= set(names):
            return _there(where, names, wanted, more), _by_labels
    wanted = ("prompt", "chosen", "rejected")
    if set(wanted) <= set(names):
        return _there(where, names, wanted, ("margin",)), _chosen
    raise ValueError(
        f"{where} has neither caption, jpg_0, jpg_1, label_0, label_1 (Pick-a-Pic) nor prompt, "
        f"chosen, rejected (TRL), but {', '.join(names) or 'no columns'}; rename its columns"
    )


def _there(
    where: str, names: list[str], wanted: tuple[str, ...], more: tuple[str, ...]
) -> tuple[str, ...]:
    found = (*wanted, *(name for name in more if name in names))
    require_columns(where, names, found)  # none of them twice
    return found


def _by_labels(key: str, row: Mapping[str, object]) -> PairRow:
    if not _says_yes(row, "has_label"):
        raise UnusableError("missing label")
    if not _says_yes(row, "are_different"):
        raise UnusableError("tie")
    kind = "jpg" if "jpg_0" in row else "mp4"
    pictures = (row[f"{kind}_0"], row[f"{kind}_1"])
    # As diffusers' Diffusion-DPO script, which reads label_0 alone.
    second = row["label_1"] if "label_1" in row else 1 - label_of(row["label_0"])
    labels = (row["label_0"], second)
    return by_labels(key, row["caption"], pictures, labels, row.get("margin"))


def _says_yes(row: Mapping[str, object], name: str) -> bool:
    """Also where there is no such column; a cell that says nothing says no."""
    if name not in row:
        return True
    truth = truth_of(row[name])
    if truth is None and not is_missing(row[name]):
        raise UnusableError(f"{name} is neither true nor false")
    return bool(truth)


def _chosen(key: str, row: Mapping[str, object]) -> PairRow:
    winner, loser = bytes_of(row["chosen"]), bytes_of(row["rejected"])
    return PairRow(key, text_of(row["prompt"]), winner, loser, margin_of(row.get("margin")))

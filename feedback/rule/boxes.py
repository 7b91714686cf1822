"""Boxes and the relations between them. Coordinates are (x1, y1, x2, y2) in pixels, y down."""

from __future__ import annotations

from dataclasses import dataclass

Xyxy = tuple[float, float, float, float]

RELATION_SLACK = 0.1  # share of the summed sizes by which centres may differ without a relation
RELATION_SHARE = 0.5  # share of the offset that must lie along the relation's axis


@dataclass(frozen=True)
class Box:
    """One detection: where, what, how sure, and (once looked at) of which colour."""

    class_name: str
    score: float
    xyxy: Xyxy
    color: str | None = None


def sureness(box: Box) -> tuple[float, Xyxy]:
    """What boxes are sorted by, the surest first."""
    return -box.score, box.xyxy


def relations(a: Xyxy, b: Xyxy) -> frozenset[str]:
    """The relations in which box `a` stands to box `b`: {"left of", "above", ...}.

    Source: djghosh13/geneval, `evaluation/evaluate_images.py`, `relative_position`.
    """
    offset = [(a[i] + a[i + 2] - b[i] - b[i + 2]) / 2 for i in (0, 1)]
    sizes = [a[i + 2] - a[i] + b[i + 2] - b[i] for i in (0, 1)]
    revised = [
        max(abs(off) - RELATION_SLACK * size, 0.0) * (1 if off > 0 else -1)
        for off, size in zip(offset, sizes, strict=True)
    ]
    if all(abs(value) < 1e-3 for value in revised):
        return frozenset()
    distance = (offset[0] ** 2 + offset[1] ** 2) ** 0.5
    dx, dy = (value / distance for value in revised)
    found = {
        "left of": dx < -RELATION_SHARE,
        "right of": dx > RELATION_SHARE,
        "above": dy < -RELATION_SHARE,
        "below": dy > RELATION_SHARE,
    }
    return frozenset(name for name, holds in found.items() if holds)

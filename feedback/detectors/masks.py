"""From a query-based segmentation to instances, as mmdetection does it. Pure functions of tensors.

Q queries, N classes; H x W pixels of the image, h x w of the network's masks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from sipo.feedback.rule.boxes import Xyxy

Size = tuple[int, int]
"""(height, width)"""


def instances(
    classes: Tensor, mask_of: Callable[[int], Tensor], floor: float
) -> list[tuple[int, float, Tensor]]:
    """(class, score, mask (H, W) bool) with a score of `floor` or more, surest class first.

    `classes` (Q, N + 1): logits, the last for none; `mask_of`: a query's mask logits (H, W).
    Of all Q N pairs the best Q; score = P(class) x mean P(mask) inside the mask.
    Source: open-mmlab/mmdetection, `maskformer_fusion_head.py`, `instance_postprocess`.
    """
    chances = classes.softmax(-1)[:, :-1]
    top = chances.flatten().topk(len(chances))
    found = []
    for chance, place in zip(top.values.tolist(), top.indices.tolist(), strict=True):
        if chance < floor:
            break
        query, label = divmod(place, chances.shape[1])
        logits = mask_of(query)
        mask = logits > 0
        area = mask.sum()
        score = chance * float((logits.sigmoid() * mask).sum() / (area + 1e-6))
        if area and score >= floor:
            found.append((label, score, mask))
    return found


def box_of(mask: Tensor) -> Xyxy:
    """(H, W) bool, not empty -> its box; the far sides lie after the last pixel."""
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    left, top = float(columns[0]), float(rows[0])
    return (left, top, float(columns[-1]) + 1, float(rows[-1]) + 1)


def upscale(mask: Tensor, padded: Size, seen: Size, image: Size) -> Tensor:
    """(h, w) logits -> (H, W): to the network's input, its padding off, to the image's size."""
    whole = F.interpolate(mask[None, None], size=padded, mode="bilinear")
    inside = whole[..., : seen[0], : seen[1]]
    return F.interpolate(inside, size=image, mode="bilinear")[0, 0]

"""The independent evaluator's network: an anchor-free detector that shares nothing with the judge.

"Objects as Points" (Zhou et al. 2019): an object is a peak of its class's heatmap, its box the
four distances from the peak to its sides (Tian et al. 2019, "FCOS"). A head of its own reads the
colour, so that a policy that learnt to please the judge's pixel rule gains nothing here.

Shapes: B images, N classes, S pixels a side, M = S / STRIDE cells a side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 2
WIDTHS = (24, 56, 96, 144)
DEPTHS = (1, 2, 2, 2)  # residual blocks a stage, on the way down
PEAK_PRIOR = 0.01  # of a cell to be a peak, before training (Lin et al. 2017, 4.1)


@dataclass(frozen=True)
class Maps:
    """What the network sees in every cell."""

    heat: Tensor  # (B, N, M, M) logits of being an object's centre
    sides: Tensor  # (B, 4, M, M) > 0, pixels from the cell's centre to left, top, right, bottom
    colors: Tensor  # (B, colours + 1, M, M) logits, the last for an object's natural colours


class CenterNet(nn.Module):
    """Residual stages from stride 2 to 16 and back up by addition, then three heads."""

    def __init__(self, classes: int, colors: int) -> None:
        super().__init__()
        self.stem = _conv(3, WIDTHS[0], 5, stride=2)
        self.down = nn.ModuleList(
            nn.Sequential(
                _conv(i, o, stride=1 if i == o else 2), *(_Residual(o) for _ in range(depth))
            )
            for i, o, depth in zip(WIDTHS[:1] + WIDTHS[:-1], WIDTHS, DEPTHS, strict=True)
        )
        self.project = nn.ModuleList(
            nn.Conv2d(i, o, 1) for i, o in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)
        )
        self.refine = nn.ModuleList(_Residual(o) for o in WIDTHS[-2::-1])
        self.heat, self.sides, self.colors = (_head(n) for n in (classes, 4, colors + 1))
        nn.init.constant_(cast(Tensor, self.heat[-1].bias), math.log(PEAK_PRIOR))

    def forward(self, images: Tensor) -> Maps:
        """(B, 3, S, S) in [0, 1] -> Maps. S must be a multiple of 16."""
        x = self.stem(images * 2 - 1)
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        for project, refine, skip in zip(self.project, self.refine, skips[-2::-1], strict=True):
            x = refine(skip + F.interpolate(project(x), scale_factor=2.0))
        sides = F.softplus(self.sides(x).float()) * 8
        return Maps(self.heat(x).float(), sides, self.colors(x).float())


class _Residual(nn.Module):
    """He et al. 2015, two 3x3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _head(outputs: int) -> nn.Sequential:
    return nn.Sequential(_conv(WIDTHS[0], WIDTHS[0]), nn.Conv2d(WIDTHS[0], outputs, 1))

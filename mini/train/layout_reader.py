"""What stands where, read from the denoiser's features: a second lesson beside the denoising.

In the error of pixels the side of a thing hardly counts beside the background; in a cross-entropy
over cells it is most of what there is to learn. Only training has the readers.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor, nn

from sipo.feedback.prompts.mini_prompts import CLASSES, COLORS
from sipo.mini.world import SIZE_PX, Scene

CELLS = 8  # a side
BLOCKS = (0, 1)  # whose output is read, of the blocks on the way up
KINDS = (len(CLASSES) + 1, len(COLORS) + 1)  # 0: no thing, or no colour of the prompt's


def cells(scene: Scene) -> NDArray[np.uint8]:
    """(2, CELLS, CELLS): class and colour of the thing whose box covers the middle of the cell."""
    found = np.zeros((2, CELLS, CELLS), np.uint8)
    middles = (np.arange(CELLS) + 0.5) * SIZE_PX / CELLS
    for box in scene.boxes:
        left, top, right, bottom = box.xyxy
        inside = np.outer(
            (middles >= top) & (middles < bottom), (middles >= left) & (middles < right)
        )
        found[0, inside] = CLASSES.index(box.class_name) + 1
        found[1, inside] = COLORS.index(box.color) + 1 if box.color else 0
    return found


class LayoutReaders(nn.Module):
    """One linear reader a block in `BLOCKS`; `loss` speaks of the denoiser's last call."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self._features: dict[int, Tensor] = {}
        blocks = [unet.up_blocks[number] for number in BLOCKS]
        self.readers = nn.ModuleList(
            nn.Conv2d(block.resnets[-1].out_channels, sum(KINDS), 1) for block in blocks
        )
        for number, block in enumerate(blocks):
            block.register_forward_hook(
                lambda _, __, output, number=number: self._features.update({number: output})
            )

    def loss(self, truth: Tensor) -> Tensor:
        """Mean cross-entropy; `truth` (B, 2, CELLS, CELLS) int64."""
        total = torch.zeros(())
        for number, reader in enumerate(self.readers):
            scores = reader(F.adaptive_avg_pool2d(self._features[number].float(), CELLS)).float()
            classes, colors = scores.split(KINDS, 1)
            total = total + F.cross_entropy(classes, truth[:, 0])
            total = total + F.cross_entropy(colors, truth[:, 1])
        return total / len(self.readers)

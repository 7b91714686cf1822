"""The readers beside the denoiser: cells say what stands where, and the loss teaches the blocks."""

import itertools

import numpy as np
import torch

from sipo.mini.captions import scenes
from sipo.mini.train.layout_reader import CELLS, LayoutReaders, cells
from sipo.mini.train.unet import new_unet
from sipo.mini.world import CLASSES, COLORS, SIZE_PX


def test_cells_name_the_thing_over_their_middle() -> None:
    for scene in itertools.islice(scenes(4), 20):
        classes, colors = cells(scene)
        for row, column in np.ndindex(CELLS, CELLS):
            x, y = ((k + 0.5) * SIZE_PX / CELLS for k in (column, row))
            over = [
                b for b in scene.boxes if b.xyxy[0] <= x < b.xyxy[2] and b.xyxy[1] <= y < b.xyxy[3]
            ]
            expected = [(CLASSES.index(b.class_name) + 1, b.color) for b in over] or [(0, None)]
            assert classes[row, column] == expected[0][0]
            color = expected[0][1]
            assert colors[row, column] == (COLORS.index(color) + 1 if color else 0)


def test_reading_teaches_the_blocks_that_are_read() -> None:
    torch.manual_seed(0)
    unet = new_unet()
    readers = LayoutReaders(unet)
    unet(torch.randn(2, 4, 16, 16), 900, torch.randn(2, 20, 128))
    loss = readers.loss(torch.zeros(2, 2, CELLS, CELLS, dtype=torch.int64))
    loss.backward()
    assert loss > 1
    assert unet.mid_block.attentions[0].proj_in.weight.grad.abs().sum() > 0
    assert unet.up_blocks[1].resnets[0].conv1.weight.grad.abs().sum() > 0
    assert unet.conv_out.weight.grad is None

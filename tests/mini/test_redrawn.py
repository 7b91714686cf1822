"""Scenes as mini-sd draws them: the same places, another drawing."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from sipo.mini.train.check import VIEWS
from sipo.mini.train.evaluator import make_batch
from sipo.mini.train.labelled_scenes import labelled_scenes
from sipo.mini.train.redrawn import BATCH, redrawing, redrawn_scenes
from sipo.weights import weights_folder


def test_a_redrawn_scene_has_its_things_where_they_were() -> None:
    """Most of what changes is what differs from a smooth background: the things themselves."""
    scenes = list(islice(labelled_scenes(3), 8))
    redraw = redrawing(weights_folder("mini-sd"), seed=1)
    images = redraw([scene.image for scene in scenes], None)
    inside, outside = [], []
    for scene, image in zip(scenes, images, strict=True):
        mask = np.zeros(image.shape[:2], bool)
        for box in scene.boxes:
            left, top, right, bottom = (int(side) for side in box.xyxy)
            mask[top:bottom, left:right] = True
        background = np.median(image[~mask], axis=0)
        away = np.abs(image - background).sum(-1)
        inside.append(away[mask].mean())
        outside.append(away[~mask].mean())
    assert np.mean(inside) > 3 * np.mean(outside)
    assert all((image != scene.image).any() for image, scene in zip(images, scenes, strict=True))


def test_the_pool_is_a_function_of_its_arguments() -> None:
    folder = weights_folder("mini-sd")
    first, again = (redrawn_scenes(folder, 5, BATCH + 2) for _ in range(2))
    other = redrawn_scenes(folder, 6, 2)
    assert len(first) == BATCH + 2
    assert all((a.image == b.image).all() for a, b in zip(first, again, strict=True))
    assert (first[0].image != other[0].image).any()
    told = first[BATCH:]  # these obey their prompt
    assert all({b.class_name for b in one.boxes} == set(one.prompt.classes) for one in told)


def test_half_a_batch_is_of_the_pool() -> None:
    pool = list(islice(labelled_scenes(7), 16))
    images, targets = make_batch(9, pool)
    alone, _ = make_batch(9)
    assert images.shape == alone.shape
    assert targets.objects > 0
    assert not images.equal(alone)


@pytest.mark.parametrize("view", ["decoded", "redrawn"])
def test_what_a_model_draws_needs_one(view: str) -> None:
    with pytest.raises(ValueError, match=f"view '{view}' needs a model"):
        VIEWS[view](None)

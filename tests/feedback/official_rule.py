"""GenEval's own decision, transcribed to hold ours against: for tests alone.

Source: djghosh13/geneval, `evaluation/evaluate_images.py` (MIT): `MAX_OBJECTS`, `relative_position`
and `evaluate`, with boxes of known colour in place of a detector and CLIP.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sipo.feedback.rule.boxes import Box

MAX_OBJECTS = 16
POSITION_THRESHOLD = 0.1


def detected(boxes: list[Box]) -> dict[str, list[Box]]:
    objects: dict[str, list[Box]] = {}
    for name in {box.class_name for box in boxes}:
        ordered = sorted((b for b in boxes if b.class_name == name), key=lambda b: -b.score)
        objects[name] = ordered[:MAX_OBJECTS]
    return objects


def relative_position(obj_a: Box, obj_b: Box) -> set[str]:
    boxes = np.array([obj_a.xyxy, obj_b.xyxy]).reshape(2, 2, 2)
    center_a, center_b = boxes.mean(axis=-2)
    dim_a, dim_b = np.abs(np.diff(boxes, axis=-2))[..., 0, :]
    offset = center_a - center_b
    revised_offset = np.maximum(np.abs(offset) - POSITION_THRESHOLD * (dim_a + dim_b), 0) * np.sign(
        offset
    )
    if np.all(np.abs(revised_offset) < 1e-3):
        return set()
    dx, dy = revised_offset / np.linalg.norm(offset)
    relations = set()
    if dx < -0.5:
        relations.add("left of")
    if dx > 0.5:
        relations.add("right of")
    if dy < -0.5:
        relations.add("above")
    if dy > 0.5:
        relations.add("below")
    return relations


def evaluate(objects: dict[str, list[Box]], metadata: dict[str, Any]) -> bool:
    correct = True
    matched_groups: list[list[Box] | None] = []
    for req in metadata.get("include", []):
        matched = True
        found_objects = objects.get(req["class"], [])[: req["count"]]
        if len(found_objects) < req["count"]:
            correct = matched = False
        else:
            if "color" in req:
                colors = [box.color for box in found_objects]
                if colors.count(req["color"]) < req["count"]:
                    correct = matched = False
            if "position" in req and matched:
                expected_rel, target_group = req["position"]
                targets = matched_groups[target_group]
                if targets is None:
                    correct = matched = False
                else:
                    for obj in found_objects:
                        for target_obj in targets:
                            if expected_rel not in relative_position(obj, target_obj):
                                correct = matched = False
        matched_groups.append(found_objects if matched else None)
    for req in metadata.get("exclude", []):
        if len(objects.get(req["class"], [])) >= req["count"]:
            correct = False
    return correct

"""Pairs as a FiftyOne dataset: both pictures of each, boxes, scores, complaints, who won.

The layout of `fiftyone.types.FiftyOneDataset` without a version in metadata.json: so FiftyOne takes
the fields from the samples, and no release's schema is written down here. A pair is a group of two
slices, winner and loser. Boxes are [x, y, width, height] in shares of the picture.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from sipo.common.files.writing import write_json
from sipo.datagen.storage.decisions import Decisions, names_of
from sipo.datagen.storage.pair_pictures import ROLES, pair_pictures
from sipo.datagen.storage.sample_json import CandidateJson, candidate_rows
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.complaint import Complaint

DATA = "data"
Json = dict[str, object]


def write_fiftyone(folder: ShardFolder, out: Path) -> int:
    """Into the folder `out`, as reviewers left the pairs; returns how many.

    Raises ValueError for clips, whose boxes would be frame by frame.
    """
    config = folder.config
    if config.fps is not None:
        raise ValueError("--format 'fiftyone' is for images; export clips as webdataset or hf")
    (out / DATA).mkdir()
    samples = [sample for number in folder.numbers for sample in _samples(folder, number, out)]
    info = {"base": config.backbone.name, "judge": config.judge.as_read(), "policy": config.policy}
    write_json(
        out / "metadata.json",
        {"name": "sipo-pairs", "media_type": "group", "info": info},
        indent=1,
    )
    write_json(out / "samples.json", {"samples": samples})
    return len(samples) // len(ROLES)


def _samples(folder: ShardFolder, number: int, out: Path) -> Iterator[Json]:
    """Of a shard, two a pair."""
    index, rows = folder.pairs(number), dict(candidate_rows(folder, number))
    decisions, pictures = Decisions(folder), pair_pictures(folder, number)
    names = names_of(folder, number) if decisions else {}
    for key, facts in index.samples.items():
        decision = decisions.of(names[key]) if decisions else None
        if decision == "drop":
            continue
        if not facts.winner:
            raise ValueError(
                f"{folder.path} is of an earlier version, whose pairs do not name candidates; run "
                f"sipo-data pair {folder.path} first"
            )
        for role, candidate in zip(ROLES, (facts.winner, facts.loser), strict=True):
            picture = pictures[key][role]
            file = f"{DATA}/{number:06d}-{candidate}.{picture.suffix}"
            data = picture.read()
            (out / file).write_bytes(data)
            name = _other(role) if decision == "flip" else role
            pair = f"{number:06d}-{key}"
            yield {
                "_media_type": "image",
                "filepath": file,
                "tags": [name, facts.tag],
                "group": {"_cls": "Group", "_id": _id(pair), "name": name},
                "pair": pair,
                "role": name,
                "candidate": candidate,
                "margin": facts.margin,
                **_of_candidate(rows[candidate], data),
            }


def _other(role: str) -> str:
    return ROLES[1 - ROLES.index(role)]


def _of_candidate(row: CandidateJson, picture: bytes) -> Json:
    verdict = row.verdict
    parts = [part for complaint in verdict.complaints for part in complaint.parts()]
    with Image.open(io.BytesIO(picture)) as image:
        size = image.size
    where = f"{row.prompt.text}/{row.seed}"
    return {
        "prompt": row.prompt.text,
        "prompt_tag": row.prompt.tag,
        "seed": row.seed,
        "score": verdict.score,
        "correct": verdict.correct,
        "reason": verdict.reason,
        "failure": verdict.failure,
        "complaints": {
            "_cls": "Classifications",
            "classifications": [_complaint(p, f"{where}/c{i}") for i, p in enumerate(parts)],
        },
        "boxes": {
            "_cls": "Detections",
            "detections": [
                _detection(box, size, f"{where}/b{i}") for i, box in enumerate(verdict.boxes)
            ],
        },
    }


def _complaint(complaint: Complaint, where: str) -> Json:
    return {
        "_cls": "Classification",
        "_id": _id(where),
        "tags": [],
        "label": complaint.kind,
        "clause": complaint.clause,
        "text": str(complaint),
    }


def _detection(box: Box, size: tuple[int, int], where: str) -> Json:
    """Cut off at the picture's edge, over which detectors may draw."""
    shares = [value / side for value, side in zip(box.xyxy, size * 2, strict=True)]
    left, top, right, bottom = (min(max(share, 0.0), 1.0) for share in shares)
    found: Json = {
        "_cls": "Detection",
        "_id": _id(where),
        "attributes": {},
        "tags": [],
        "label": box.class_name,
        "bounding_box": [left, top, max(right - left, 0.0), max(bottom - top, 0.0)],
        "confidence": box.score,
    }
    return found if box.color is None else {**found, "color": box.color}


def _id(text: str) -> Json:
    """Of 12 bytes, the same whenever the same is exported."""
    return {"$oid": hashlib.sha256(text.encode()).hexdigest()[:24]}

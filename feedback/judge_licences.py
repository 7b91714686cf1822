"""The licence of a judge, as far as it is known; docs/judges.md has the same in its table."""

from __future__ import annotations

from collections.abc import Mapping

NOT_KNOWN = "not known here; see its card"
OURS = "Apache-2.0"
_BY_WEIGHTS = {
    ("yolo-world", "yolo-world-mini"): f"run by ultralytics, AGPL-3.0; weights {OURS}",
    ("yolo-world", None): "run by ultralytics, AGPL-3.0; published weights AGPL-3.0",
    ("mini-evaluator", "evaluator"): OURS,
    ("owlv2", "google/owlv2-base-patch16-ensemble"): "Apache-2.0",
    ("vlm", "Qwen/Qwen2.5-VL-7B-Instruct"): "Apache-2.0",
    ("ocr", None): "RapidOCR and PP-OCR's weights in it, Apache-2.0",
    ("imported", None): "people's choices: as their source says",
    ("none", None): "nobody has judged",
    ("fake", None): "a hash, no model",
}
"""(what a judge calls itself, its weights or None for all others) -> its licence."""


def judge_licences(description: Mapping[str, object]) -> dict[str, str]:
    """From what a judge says of itself (`Judge.describe`): each member's licence by its name."""
    members = description.get("members")
    if isinstance(members, list) and members:
        found: dict[str, str] = {}
        for member in members:
            found |= judge_licences(member) if isinstance(member, Mapping) else {}
        return found
    name, weights = str(description.get("id", "?")), description.get("weights")
    known = _BY_WEIGHTS.get((name, str(weights))) or _BY_WEIGHTS.get((name, None))
    return {name: known or NOT_KNOWN}

"""Images and prompts as a scoring service is sent them, and what is in its reply.

The protocol is Flow-Factory's (its `reward_server/example_server.py`): POST /compute with `prompts`
and `images` in base64 gives `rewards`; GET /health says that it is there. A judge that sipo serves
also takes `extra` with the prompts' rows and the vocabulary, and gives whole `verdicts`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from sipo.common.pictures.picture import to_bytes
from sipo.feedback.judge_batches import Asked
from sipo.feedback.remote.http_calls import CallError
from sipo.feedback.rule.verdict import Verdict

COMPUTE, HEALTH, DESCRIBE = "/compute", "/health", "/describe"
OURS = "sipo judge"
"""What /health says under "serves" where sipo serves a judge."""


def score_body(batch: Sequence[Asked], vocabulary: Sequence[str] | None) -> dict[str, object]:
    """`vocabulary`: of a judge that sipo serves; None for any other service."""
    images = [base64.b64encode(to_bytes(image.convert("RGB"))).decode() for image, _ in batch]
    body: dict[str, object] = {"prompts": [prompt.text for _, prompt in batch], "images": images}
    if vocabulary is None:
        return body
    rows = [prompt.to_row() for _, prompt in batch]
    return body | {"extra": {"rows": rows, "vocabulary": list(vocabulary)}}


def is_ours(reply: object) -> bool:
    return isinstance(reply, Mapping) and reply.get("serves") == OURS


def raw_scores(reply: object, count: int) -> list[float | None]:
    """One an image, None where there is none of it. Raises CallError."""
    named = reply if isinstance(reply, Mapping) else {}
    scores = next((named[key] for key in ("rewards", "scores") if key in named), None)
    if not isinstance(scores, list):
        raise CallError("the reply has no list of rewards", True)
    if len(scores) != count:
        raise CallError(f"the reply has {len(scores)} rewards for {count} images", True)
    if not all(score is None or _is_number(score) for score in scores):
        raise CallError("the reply has a reward that is no number", True)
    return [None if score is None else float(score) for score in scores]


def verdicts_in(reply: object, count: int, description: dict[str, object]) -> list[Verdict]:
    """What a judge that sipo serves says, in the name of who asked it. Raises CallError."""
    rows = reply.get("verdicts") if isinstance(reply, Mapping) else None
    if not isinstance(rows, list) or len(rows) != count:
        raise CallError(f"the reply does not have {count} verdicts", True)
    try:
        return [Verdict.model_validate({**row, "judge": description}) for row in rows]
    except (TypeError, ValidationError):
        raise CallError("the reply has a verdict that is none", True) from None


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and math.isfinite(value)
    )

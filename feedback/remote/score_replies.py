"""Images and prompts as a scoring service is sent them, and what is in its reply.

Two protocols: Flow-Factory's (its `reward_server/example_server.py`), POST /compute with `prompts`
and `images` in base64, which gives `rewards`; and UniRL's (its `unirl/reward/remote.py`), POST
/score with `requests`, which gives `results` by the name of a reward. A judge that sipo serves also
takes `extra` with the prompts' rows and the vocabulary, and gives whole `verdicts`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image
from pydantic import ValidationError

from sipo.common.pictures.picture import to_bytes
from sipo.feedback.judge_batches import Asked
from sipo.feedback.judge_urls import COMPUTE, SCORE
from sipo.feedback.remote.http_calls import CallError
from sipo.feedback.rule.verdict import Verdict

HEALTH, DESCRIBE = "/health", "/describe"
OURS = "sipo judge"
"""What /health says under "serves" where sipo serves a judge."""
REWARD = "sipo"
"""What a judge that sipo serves is called among UniRL's rewards."""
_SAID = 120  # characters of a service's own words


class Shape(Protocol):
    """`scores`: a number an image, or why there is none. Raises CallError for another reply."""

    @property
    def path(self) -> str: ...

    def describe(self) -> dict[str, object]: ...

    def body(self, batch: Sequence[Asked]) -> dict[str, object]: ...

    def scores(self, reply: object, count: int) -> list[float | str]: ...


@dataclass(frozen=True)
class FlowFactory:
    """`vocabulary`: of a judge that sipo serves; None for any other service."""

    vocabulary: tuple[str, ...] | None = None
    path: str = COMPUTE

    def describe(self) -> dict[str, object]:
        return {"protocol": "flow-factory"}

    def body(self, batch: Sequence[Asked]) -> dict[str, object]:
        images = [_in_base64(image) for image, _ in batch]
        body: dict[str, object] = {"prompts": [p.text for _, p in batch], "images": images}
        if self.vocabulary is None:
            return body
        rows = [prompt.whole_row() for _, prompt in batch]
        return body | {"extra": {"rows": rows, "vocabulary": list(self.vocabulary)}}

    def scores(self, reply: object, count: int) -> list[float | str]:
        named = reply if isinstance(reply, Mapping) else {}
        scores = next((named[key] for key in ("rewards", "scores") if key in named), None)
        return [_number(score) for score in _listed(scores, "rewards", count)]


@dataclass(frozen=True)
class UniRL:
    """The reward's first metric."""

    reward: str
    path: str = SCORE

    def describe(self) -> dict[str, object]:
        return {"protocol": "unirl", "reward": self.reward}

    def body(self, batch: Sequence[Asked]) -> dict[str, object]:
        requests = [
            {
                "history": [{"text": prompt.text, "image_b64": _in_base64(image)}],
                "required_rewards": [self.reward],
                "metadata": prompt.to_row(),
            }
            for image, prompt in batch
        ]
        return {"protocol_version": "1", "requests": requests}

    def scores(self, reply: object, count: int) -> list[float | str]:
        named = reply if isinstance(reply, Mapping) else {}
        results = _listed(named.get("results"), "results", count)
        errors = named.get("errors")
        causes = errors if isinstance(errors, list) and len(errors) == count else [None] * count
        return [self._score(*one) for one in zip(results, causes, strict=True)]

    def _score(self, result: object, causes: object) -> float | str:
        metrics = result.get(self.reward) if isinstance(result, Mapping) else None
        if isinstance(metrics, Mapping) and metrics:
            return _number(next(iter(metrics.values())))
        cause = causes.get(self.reward) if isinstance(causes, Mapping) else None
        return f"the service says: {cause[:_SAID]}" if isinstance(cause, str) else _number(None)


def is_ours(reply: object) -> bool:
    return isinstance(reply, Mapping) and reply.get("serves") == OURS


def verdicts_in(reply: object, count: int, description: dict[str, object]) -> list[Verdict]:
    """What a judge that sipo serves says, in the name of who asked it. Raises CallError."""
    rows = reply.get("verdicts") if isinstance(reply, Mapping) else None
    try:
        found = _listed(rows, "verdicts", count)
        return [Verdict.model_validate({**row, "judge": description}) for row in found]
    except (TypeError, ValidationError):
        raise CallError("the reply has a verdict that is none", True) from None


def _in_base64(image: Image.Image) -> str:
    return base64.b64encode(to_bytes(image.convert("RGB"))).decode()


def _listed(value: object, what: str, count: int) -> list[dict[str, object]]:
    if not isinstance(value, list):
        raise CallError(f"the reply has no list of {what}", True)
    if len(value) != count:
        raise CallError(f"the reply has {len(value)} {what} for {count} images", True)
    return value


def _number(value: object) -> float | str:
    if value is None:
        return "the service gave no score"
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise CallError("the reply has a reward that is no number", True)
    return float(value)

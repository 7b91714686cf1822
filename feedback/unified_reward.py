"""UnifiedReward (Wang et al. 2025): a vision-language model writes scores from 1 to 5.

`axes`, of its version 2.0: alignment, coherence and style, whose mean is the score; `final`, of
1.0: one number after "Final Score:". It was trained on questions that its repository publishes in
`inference_qwen/`; `question` is a file with one of them, and without it words of our own ask for
the same scales. Source: CodeGoat24/UnifiedReward, which adds nothing up; the mean is that of
DiffSynth-Studio 2.1.12 (`models/unified_reward_2.py`) and of
verl-omni (`utils/reward_score/unified_reward.py`). Both take it of the axes that are there, and the
latter any three numbers, and 0 where there is none. Here a reply without an axis is a failure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal

from PIL import Image
from pydantic import Field

from sipo.feedback.judge_urls import checked_url, is_url
from sipo.feedback.published_weights import UNIFIED_REWARD
from sipo.feedback.remote.chat_judge import only_model
from sipo.feedback.remote.env_keys import server_key
from sipo.feedback.remote.http_calls import HttpCalls, Limits
from sipo.feedback.scorers.base import LinearScale, Rating, ScorerJudge
from sipo.feedback.scorers.official_question import about, question_text, read_question
from sipo.feedback.vlm import Dtype, load_writer
from sipo.feedback.written_replies import ChatWriter, LocalWriter, Reply, Writer

Form = Literal["axes", "final"]
LABELS: Mapping[Form, tuple[str, ...]] = {
    "axes": ("Alignment Score", "Coherence Score", "Style Score"),
    "final": ("Final Score",),
}
LOW, HIGH = 1.0, 5.0
MOST_TOKENS = 1024
BATCH = 16
_SHOWN = 400  # characters of a reply that are kept


class UnifiedReward:
    def __init__(self, writer: Writer, form: Form, question: str) -> None:
        self._writer, self._form, self._question = writer, form, question

    def describe(self) -> dict[str, object]:
        asked = hashlib.sha256(self._question.encode()).hexdigest()[:16]
        told = {"id": "unified-reward", "form": self._form, "question": asked}
        return {**told, **self._writer.describe()}

    def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[Rating]:
        questions = [about(self._question, text) for text in texts]
        return [rated(reply, self._form) for reply in self._writer.write(images, questions)]


def rated(reply: Reply, form: Form) -> Rating:
    """A reply that has no score, or one that is none, is a failure and never a number."""
    if isinstance(reply, ValueError):
        return Rating(LOW, failure=str(reply))
    kept = {"reply": reply[-_SHOWN:]}
    scores = {label: number_after(label, reply) for label in LABELS[form]}
    for label, score in scores.items():
        if score is None:
            return Rating(LOW, kept, f"the reply has no number after '{label}:'")
        if not LOW <= score <= HIGH:
            return Rating(LOW, kept, f"the reply's '{label}' is not from {LOW:g} to {HIGH:g}")
    known = {label: score for label, score in scores.items() if score is not None}
    return Rating(fmean(known.values()), {"parts": known, **kept})


def number_after(label: str, text: str) -> float | None:
    """The last one: a model may think before, and repeat the question."""
    pattern = rf"{re.escape(label)}\s*(?:\(1-5\))?\s*:\s*(-?\d+(?:\.\d+)?)(?![\d.]*\d)"
    found = re.findall(pattern, text.replace("*", ""), re.IGNORECASE)
    return float(found[-1]) if found else None


def load_unified_reward(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    form: Form = "axes",
    question: str | None = None,
    center: float = (LOW + HIGH) / 2,
    most_tokens: Annotated[int, Field(ge=8, le=32768)] = MOST_TOKENS,
    dtype: Dtype | None = None,
    device: str | None = None,
    model: str | None = None,
    request: Mapping[str, object] | None = None,
    key_env: str | None = None,
    threads: Annotated[int, Field(ge=1, le=256)] | None = None,
    timeout_s: Annotated[float, Field(gt=0, le=3600)] | None = None,
    tries: Annotated[int, Field(ge=1, le=20)] | None = None,
    most_failures: Annotated[int, Field(ge=0)] | None = None,
) -> ScorerJudge:
    """`weights`: a folder or hub id of transformers' layout, or the URL of an OpenAI-compatible
    server, which the settings from `model` on are of. Raises ValueError for those of the other."""
    here: dict[str, object] = {"dtype": dtype, "device": device}
    there: dict[str, object] = {"model": model, "request": request, "key_env": key_env}
    there |= {"threads": threads, "timeout_s": timeout_s, "tries": tries}
    there |= {"most_failures": most_failures}
    where = str(weights or UNIFIED_REWARD)
    if question is None:
        asked = question_text(f"unified_reward_{form}")
    else:
        asked = read_question(question, "judge 'unified-reward', setting question")
    for name, value in (here if is_url(where) else there).items():
        if value is not None:
            raise ValueError(
                f"judge 'unified-reward', setting {name}: has no effect on {where}; take it out"
            )
    if is_url(where):
        url = checked_url(where)
        failures = 100 if most_failures is None else most_failures
        limits = Limits(timeout_s or 300.0, tries or 5, threads or 8, None, failures)
        calls = HttpCalls(url, server_key(key_env, url, "unified-reward"), limits)
        named = model or only_model(calls, "unified-reward")
        writer: Writer = ChatWriter(calls, named, request or {}, most_tokens)
    else:
        writer = LocalWriter(*load_writer(where, dtype or "auto", device or "auto"), most_tokens)
    scorer = UnifiedReward(writer, form, asked)
    return ScorerJudge(scorer, LinearScale(center, LOW, HIGH), BATCH)

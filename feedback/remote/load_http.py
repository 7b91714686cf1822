"""A judge behind a URL, from what `--judge http=URL` and its settings say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sipo.feedback.judge import Judge
from sipo.feedback.judge_urls import (
    EXAMPLES,
    Protocol,
    base_of,
    checked_url,
    protocol_of,
)
from sipo.feedback.prompts.question import Mean
from sipo.feedback.prompts.questions import read_questions
from sipo.feedback.remote.chat_judge import ChatJudge, answers_of, only_model
from sipo.feedback.remote.chat_replies import Answers
from sipo.feedback.remote.env_keys import server_key
from sipo.feedback.remote.http_calls import HttpCalls, Limits
from sipo.feedback.remote.score_judge import ScoreJudge, description_served, only_reward
from sipo.feedback.remote.score_replies import FlowFactory, UniRL
from sipo.feedback.rule.answers import THRESHOLD, AnswerRule
from sipo.feedback.scorers.base import LinearScale, Scale, SigmoidScale

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


def load_http(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    url: str | None = None,
    protocol: Protocol | None = None,
    key_env: str | None = None,
    threads: Annotated[int, Field(ge=1, le=256)] = 8,
    batch: Annotated[int, Field(ge=1, le=256)] = 16,
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 120.0,
    tries: Annotated[int, Field(ge=1, le=20)] = 5,
    most_calls: Count | None = None,
    most_failures: Annotated[int, Field(ge=0)] = 100,
    least: Share | None = None,
    model: str | None = None,
    mean: Mean | None = None,
    questions: str | None = None,
    answers: Literal["auto"] | Answers | None = None,
    request: Mapping[str, object] | None = None,
    reward: str | None = None,
    low: float | None = None,
    high: float | None = None,
    center: float | None = None,
    slope: Annotated[float, Field(gt=0)] | None = None,
) -> Judge:
    """`weights` is the URL, where the setting `url` is not. Asks the server once what it is.

    Raises ValueError for a server that does not answer, and for a setting of the other protocol.
    """
    whole = _address(weights, url)
    address, speaks = base_of(whole), protocol or protocol_of(whole)
    chat: dict[str, object] = {"model": model, "mean": mean, "questions": questions}
    chat |= {"answers": answers, "request": request}
    score: dict[str, object] = {"low": low, "high": high, "center": center, "slope": slope}
    where = f"protocol {speaks!r} of {address}"
    _refuse({**score, "reward": reward} if speaks == "openai" else chat, where)
    if speaks == "flow-factory":
        _refuse({"reward": reward}, where)
    limits = Limits(timeout_s, tries, threads, most_calls, most_failures)
    calls = HttpCalls(
        address, server_key(key_env, address, "http", asks=speaks == "openai"), limits
    )
    if speaks == "openai":
        table = read_questions(questions) if questions else None
        rule = AnswerRule(mean, THRESHOLD if least is None else least, table)
        name, more = model or only_model(calls), request or {}
        how = answers_of(calls, name, more, answers or "auto")
        return ChatJudge(calls, name, rule, how, more, batch, _sha256(questions))
    scale = _scale(low, high, center, slope)
    to_be_right = THRESHOLD if least is None else least
    if speaks == "unirl":
        named = UniRL(reward or only_reward(calls))
        return ScoreJudge(calls, named, batch, threads, to_be_right, scale, None)
    served = description_served(calls, vocabulary)
    if served is not None:
        whose = f"the judge that sipo serves at {address}, which gives verdicts"
        _refuse({**score, "least": least}, whose)
    shape = FlowFactory(None if served is None else tuple(vocabulary))
    return ScoreJudge(calls, shape, batch, threads, to_be_right, scale, served)


def _address(weights: str | Path | None, url: str | None) -> str:
    if weights is None and url is None:
        raise ValueError(f"judge 'http' has no URL; write --judge http=URL, like {EXAMPLES}")
    found = {checked_url(str(one)) for one in (weights, url) if one}
    if len(found) != 1:
        raise ValueError(f"judge 'http' has two URLs, {' and '.join(sorted(found))}; give one")
    return found.pop()


def _refuse(settings: Mapping[str, object], where: str) -> None:
    for name, value in settings.items():
        if value is not None:
            raise ValueError(f"judge 'http', setting {name}: has no effect on {where}; take it out")


def _scale(
    low: float | None, high: float | None, center: float | None, slope: float | None
) -> Scale | None:
    if (low is None) != (high is None) or (center is None) != (slope is None):
        raise ValueError("judge 'http': give both of low and high, or both of center and slope")
    if low is not None and high is not None:
        if center is not None:
            raise ValueError(
                "judge 'http' has low and high, and center and slope; give two of them"
            )
        if low >= high:
            raise ValueError(f"judge 'http', setting low: {low:g} is not under high, {high:g}")
        return LinearScale((low + high) / 2, low, high)
    return None if center is None or slope is None else SigmoidScale(center, slope)


def _sha256(questions: str | None) -> str | None:
    return questions and hashlib.sha256(Path(questions).read_bytes()).hexdigest()

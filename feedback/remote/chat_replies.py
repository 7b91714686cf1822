"""What an OpenAI-compatible chat is sent for a question, and the chance of an answer in its reply.

Fields: platform.openai.com/docs/api-reference/chat, which vLLM and SGLang follow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from sipo.feedback.prompts.question import Question
from sipo.feedback.prompts.questions import accepted
from sipo.feedback.remote.http_calls import CallError
from sipo.feedback.rule.answers import BRIEF

Answers = Literal["logprobs", "text"]

Part = Mapping[str, object]
"""Of a message."""

MOST_TOKENS = 8  # of an answer; more than a word takes
TOP = 20  # likeliest first tokens: the most that these servers give


def text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def image_part(data_url: str) -> Part:
    return {"type": "image_url", "image_url": {"url": data_url}}


def question_body(
    model: str,
    asking: Question,
    shown: Sequence[Part],
    answers: Answers,
    more: Mapping[str, object],
) -> dict[str, object]:
    """What is shown stands before the text, so that servers keep its prefix for the next question.

    `more` goes before what stands here; what it has as null is left out.
    """
    body = chat_body(model, [*shown, text_part(f"{asking.text} {BRIEF}")], MOST_TOKENS)
    if answers == "logprobs":
        body |= {"logprobs": True, "top_logprobs": TOP}
    return with_more(body, more)


def chat_body(model: str, parts: Sequence[Part], most_tokens: int) -> dict[str, object]:
    """One message. The likeliest words are written."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": list(parts)}],
        "max_tokens": most_tokens,
        "temperature": 0,
    }


def with_more(body: Mapping[str, object], more: Mapping[str, object]) -> dict[str, object]:
    """`more` goes before; what it has as null is left out."""
    return {name: value for name, value in {**body, **more}.items() if value is not None}


def has_logprobs(reply: object) -> bool:
    try:
        return bool(_first_tokens(reply))
    except CallError:
        return False


def chance_in(reply: object, answer: str, answers: Answers) -> float:
    """The probability of the right answer. Raises CallError for a reply that does not have it."""
    if answers == "logprobs":
        return chance_by_tokens(_first_tokens(reply), answer)
    return float(says(text_in(reply), answer))


def chance_by_tokens(likeliest: Sequence[tuple[str, float]], answer: str) -> float:
    """As the judge `vlm` adds up first tokens that are an accepted answer whole (questions.py).

    A way to write it of several tokens is seen as `vlm` sees it, by the first token of the first
    way, where none of the likeliest is a whole one. What is not among them counts 0.
    """
    ways = accepted(answer)
    whole = [chance for token, chance in likeliest if token in ways]
    begun = [(len(t), chance) for t, chance in likeliest if t.strip() and ways[0].startswith(t)]
    return min(1.0, sum(whole) if whole else max(begun, default=(0, 0.0))[1])


def says(text: str, answer: str) -> bool:
    """Whether the text begins with an accepted answer, as a word of its own."""
    ways = sorted({re.escape(way.strip().lower()) for way in accepted(answer)}, reverse=True)
    return re.match(rf"\W*(?:{'|'.join(ways)})(?!\w)", text.lower()) is not None


def _choice(reply: object) -> Mapping[str, object]:
    try:
        choice = reply["choices"][0]  # type: ignore[index]
    except (TypeError, KeyError, IndexError):
        choice = None
    if not isinstance(choice, Mapping):
        raise CallError("the reply is no chat completion", True)
    return choice


def text_in(reply: object) -> str:
    """What was written. Raises CallError for a reply without."""
    message = _choice(reply).get("message")
    text = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(text, str) or not text.strip():
        raise CallError("the reply has no answer in it", True)
    return text


def is_cut(reply: object) -> bool:
    """Whether the most tokens that were allowed ended it."""
    return _choice(reply).get("finish_reason") == "length"


def _first_tokens(reply: object) -> list[tuple[str, float]]:
    """(token, probability) of those that the first one was chosen from."""
    try:
        rows = _choice(reply)["logprobs"]["content"][0]["top_logprobs"]  # type: ignore[index]
        found = [(_as_text(row["token"]), _chance(row["logprob"])) for row in rows]
    except (TypeError, KeyError, IndexError, AttributeError):
        found = []
    if not found:
        raise CallError("the reply has no log-probabilities", True)
    return found


def _as_text(token: str) -> str:
    """Some servers show the mark that a vocabulary has for a space."""
    return token.replace("\u2581", " ").replace("\u0120", " ")


def _chance(logprob: object) -> float:
    if isinstance(logprob, bool) or not isinstance(logprob, int | float):
        raise TypeError
    return math.exp(min(0.0, logprob))

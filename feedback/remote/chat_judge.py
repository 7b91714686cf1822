"""A vision-language model behind an OpenAI-compatible server, asked what the judge `vlm` asks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Literal

from PIL import Image

from sipo.common.pictures.picture import to_bytes
from sipo.feedback.before_after import shown
from sipo.feedback.judge_batches import Asked, judge_in_batches
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.prompts.question import Question
from sipo.feedback.prompts.questions import WORDING
from sipo.feedback.remote.chat_replies import (
    Answers,
    Part,
    chance_in,
    has_logprobs,
    image_part,
    question_body,
    text_part,
)
from sipo.feedback.remote.http_calls import CallError, HttpCalls
from sipo.feedback.rule.answers import AnswerRule
from sipo.feedback.rule.verdict import Verdict, failed_verdict

COMPLETIONS = "/chat/completions"
_SHOWN = 5  # models that a sentence names
_WHITE = Question(id="white", text="Is this image white?")


class ChatJudge:
    """`answers` by log-probabilities or by text, alike for all images; `more` goes into requests.

    `questions_sha256` is of the file that the rule's questions came from.
    """

    def __init__(
        self,
        calls: HttpCalls,
        model: str,
        rule: AnswerRule,
        answers: Answers,
        more: Mapping[str, object],
        batch: int,
        questions_sha256: str | None = None,
    ) -> None:
        self._calls, self._model, self._rule = calls, model, rule
        self._answers, self._more, self._batch = answers, dict(more), batch
        self._asked: dict[str, object] = (
            {"wording": WORDING} if questions_sha256 is None else {"sha256": questions_sha256}
        )

    def describe(self) -> dict[str, object]:
        more = {"request": self._more} if self._more else {}
        rule = self._rule.describe()
        return {
            "id": "http",
            "protocol": "openai",
            "url": self._calls.url,
            "model": self._model,
            "answers": self._answers,
            **rule,
            "questions": {"of": rule["questions"], **self._asked},
            **more,
        }

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_in_batches(self, self._judge_batch, images, prompts, self._batch)

    def _judge_batch(self, batch: Sequence[Asked], description: dict[str, object]) -> list[Verdict]:
        """All questions of all images at once. An image of which one fails is asked no more."""
        asked = [self._rule.questions_of(prompt) for _, prompt in batch]
        parts = [parts_of(image, prompt) for image, prompt in batch]
        each = [(n, one) for n, questions in enumerate(asked) for one in questions]
        failed: dict[int, CallError] = {}

        def ask(question: tuple[int, Question], stop: Event) -> float:
            number, asking = question
            if number in failed:
                raise failed[number]
            try:
                return self._chance(parts[number], asking, stop)
            except CallError as error:
                failed.setdefault(number, error)
                raise

        chances = iter(self._calls.each(ask, each))
        self._calls.failed(len(failed))
        verdicts = []
        for (_, prompt), questions in zip(batch, asked, strict=True):
            answered = [next(chances) for _ in questions]
            verdicts.append(self._verdict(prompt, answered, description))
        return verdicts

    def _verdict(
        self,
        prompt: Prompt,
        answered: Sequence[float | CallError],
        description: dict[str, object],
    ) -> Verdict:
        if not answered:
            return self._rule.unasked(prompt, description)
        if cause := next((one for one in answered if isinstance(one, CallError)), None):
            return failed_verdict(str(cause), description)
        chances = [one for one in answered if not isinstance(one, CallError)]
        return self._rule.verdict(prompt, chances, description)

    def _chance(self, parts: Sequence[Part], asking: Question, stop: Event) -> float:
        body = question_body(self._model, asking, parts, self._answers, self._more)
        reply = self._calls.post(COMPLETIONS, body, stop)
        return chance_in(reply, asking.answer, self._answers)


def parts_of(image: Image.Image, prompt: Prompt) -> list[Part]:
    """Of the message, before its question; of an edit both pictures."""
    return [
        text_part(one) if isinstance(one, str) else image_part(data_url(one))
        for one in shown(image, prompt)
    ]


def data_url(image: Image.Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(to_bytes(image.convert('RGB'))).decode()}"


def only_model(calls: HttpCalls, judge: str = "http") -> str:
    """The one that the server has. Raises ValueError where it has others, too, or none."""
    try:
        listed = calls.get("/models")
        names = [row["id"] for row in listed["data"]]  # type: ignore[index]
    except CallError as error:
        raise ValueError(f"judge {judge!r} finds no models at {calls.url}: {error}") from None
    except (TypeError, KeyError):
        names = []
    if len(names) != 1 or not isinstance(names[0], str):
        some = ", ".join(repr(str(name)[:80]) for name in names[:_SHOWN])
        has = f"has {len(names)} models ({some}{', ...' * (len(names) > _SHOWN)})"
        raise ValueError(
            f"{calls.url} {has if names else 'lists no models'}; name one in the setting model of "
            f"judge {judge!r}"
        )
    return names[0]


def answers_of(
    calls: HttpCalls, model: str, more: Mapping[str, object], asked: Literal["auto"] | Answers
) -> Answers:
    """Asks the model one question about a white image: whether it answers, and how.

    With "auto" log-probabilities where it gives them, else text. Raises ValueError where it does
    not answer as asked.
    """
    white = [image_part(data_url(Image.new("RGB", (64, 64), "white")))]
    how: Answers = "text" if asked == "text" else "logprobs"
    try:
        reply = calls.post(COMPLETIONS, question_body(model, _WHITE, white, how, more))
        if how == "logprobs" and not has_logprobs(reply) and asked == "auto":
            how = "text"
        chance_in(reply, _WHITE.answer, how)
    except CallError as error:
        if asked == "auto" and how == "logprobs" and error.answered:  # it may refuse the option
            return answers_of(calls, model, more, "text")
        raise ValueError(
            f"judge 'http' gets no answer of {model!r} at {calls.url}: {error}; look at the server"
            " and at the settings answers and request"
        ) from None
    return how

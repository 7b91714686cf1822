"""A service that scores images and prompts, as a judge; also one that sipo serves itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from threading import Event

from PIL import Image

from sipo.feedback.judge_batches import Asked, JudgesMistakeError, judge_in_batches
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.remote.http_calls import CallError, HttpCalls
from sipo.feedback.remote.score_replies import DESCRIBE, HEALTH, Shape, is_ours, verdicts_in
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict, failed_verdict
from sipo.feedback.scorers.base import Scale


class ScoreJudge:
    """`batch` images a call, and as many calls at a time as there are threads.

    A score in [0, 1] is taken as it is, any other by `scale`; `least` is correct. Of a judge that
    sipo serves, `served` is what that says of itself, and its verdicts are taken whole.
    """

    def __init__(
        self,
        calls: HttpCalls,
        shape: Shape,
        batch: int,
        threads: int,
        least: float,
        scale: Scale | None,
        served: Mapping[str, object] | None,
    ) -> None:
        self._calls, self._shape, self._batch, self._threads = calls, shape, batch, threads
        self._least, self._scale, self._served = least, scale, served

    def describe(self) -> dict[str, object]:
        said = {"id": "http", **self._shape.describe(), "url": self._calls.url}
        if self._served is not None:
            return {**said, "judge": dict(self._served)}
        scale = self._scale and {"rule": self._scale.rule, **asdict(self._scale)}
        return {**said, "least": self._least, "scale": scale}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        size = self._batch * self._threads
        return judge_in_batches(self, self._judge_batch, images, prompts, size)

    def _judge_batch(self, batch: Sequence[Asked], description: dict[str, object]) -> list[Verdict]:
        """A request that is answered with a refusal is put again image by image."""

        def ask(some: Sequence[Asked], stop: Event) -> list[Verdict]:
            reply = self._calls.post(self._shape.path, self._shape.body(some), stop)
            if self._served is not None:
                self._require_same(reply)
                return verdicts_in(reply, len(some), description)
            return [self._verdict(raw, description) for raw in self._shape.scores(reply, len(some))]

        parts = [batch[at : at + self._batch] for at in range(0, len(batch), self._batch)]
        verdicts: list[Verdict] = []
        for part, said in zip(parts, self._calls.each(ask, parts), strict=True):
            one_by_one = isinstance(said, CallError) and said.answered and len(part) > 1
            alone = self._calls.each(ask, [[one] for one in part]) if one_by_one else [said]
            for answer in alone:
                if not isinstance(answer, CallError):
                    verdicts += answer
                    continue
                lost = len(part) // len(alone)
                self._calls.failed(lost)
                verdicts += [failed_verdict(str(answer), description)] * lost
        return verdicts

    def _require_same(self, reply: object) -> None:
        """Verdicts of two judges in one folder could not be told apart."""
        if isinstance(reply, Mapping) and reply.get("judge", self._served) != self._served:
            raise JudgesMistakeError(
                f"judge 'http' at {self._calls.url} is another one than when this command began; "
                "serve the first one again: the same command goes on"
            )

    def _verdict(self, raw: float | str, description: dict[str, object]) -> Verdict:
        if isinstance(raw, str):
            return failed_verdict(raw, description)
        score = self._unit(raw)
        correct = score >= self._least
        complaint = Complaint("http", "score", self._least, score)
        return Verdict(
            score=score,
            correct=correct,
            complaints=() if correct else (complaint,),
            judge=description,
            evidence={"raw": raw},
        )

    def _unit(self, raw: float) -> float:
        if self._scale is not None:
            return self._scale.unit(raw)
        if not 0 <= raw <= 1:
            raise JudgesMistakeError(
                f"judge 'http' at {self._calls.url} gave the score {raw:g}; say its range by the "
                "settings low and high, or a preference score's center and slope"
            )
        return raw


def description_served(calls: HttpCalls, vocabulary: Sequence[str]) -> Mapping[str, object] | None:
    """What the judge there says of itself where sipo serves it, else None.

    Raises ValueError where nothing answers, and what a judge has against the vocabulary.
    """
    try:
        health = calls.get(HEALTH)
        if not is_ours(health):
            return None
        said = calls.post(DESCRIBE, {"vocabulary": list(vocabulary)})
        return said["judge"]  # type: ignore[index,no-any-return]
    except JudgesMistakeError:
        return None  # a service may have /compute alone, which says what is wrong
    except CallError as error:
        raise ValueError(
            f"judge 'http' gets no answer at {calls.url}: {error}; look at its URL and at the "
            "server"
        ) from None
    except (TypeError, KeyError):
        return None


def only_reward(calls: HttpCalls) -> str:
    """The one that a UniRL server has. Raises ValueError where it has others, too, or none."""
    try:
        health = calls.get(HEALTH)
    except CallError as error:
        raise ValueError(f"judge 'http' gets no answer at {calls.url}: {error}") from None
    rewards = health.get("rewards") if isinstance(health, Mapping) else None
    names = list(rewards) if isinstance(rewards, Mapping) else []
    if len(names) != 1:
        has = f"has the rewards {', '.join(map(str, names[:5]))}" if names else "lists no rewards"
        raise ValueError(f"{calls.url} {has}; name one in the setting reward of judge 'http'")
    return str(names[0])

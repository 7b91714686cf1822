"""`loop.json`: what every round brought, and what it depends on."""

from __future__ import annotations

from pydantic import Field

from sipo.common.records import Record
from sipo.common.statistics import Difference, Interval
from sipo.loop.attempts import Attempt


class Quality(Record):
    """Of an evaluation's summary; None where it does not say so."""

    sharpness: float | None = None
    single_object_confidence: float | None = None

    @property
    def shown(self) -> dict[str, str]:
        """What there is, by its name in a table."""
        found = {"sharp.": self.sharpness, "sure": self.single_object_confidence}
        return {name: f"{value:.3g}" for name, value in found.items() if value is not None}


class RoundSummary(Record):
    """Of a round's last training. Round 0 is the base, which has no gain, no pairs, no training."""

    round: int
    attempt: int = 1
    accepted: bool = True
    over: int | None = None  # the best round before it
    over_best: Difference | None = None  # its gain over that one, by which it was accepted
    reason: str | None = None  # why it was accepted or rejected
    overall: float  # by the evaluator, on held-out prompts
    interval: Interval | None
    tags: dict[str, float]  # accuracies
    judge_overall: float  # the same images by the judge that chooses winners
    gain: Difference | None  # over round 0
    tag_gains: dict[str, Difference] | None
    empty_share: float  # of images without any object
    quality: Quality = Field(default=Quality())
    pairs: int | None
    best_of_n: float | None
    warnings: list[str] = Field(default=[])  # of the training
    minutes: float  # of this training and what belongs to it
    stage_minutes: dict[str, float]
    rejected: list[RoundSummary] = Field(default=[])  # trainings of it before this one

    @property
    def name(self) -> str:
        return str(Attempt(self.round, self.attempt))

    @property
    def attempts(self) -> list[RoundSummary]:
        """All trainings of the round, this one the last."""
        return [*self.rejected, self]


class LostTraining(Record):
    """One whose loss was not finite, so that there was nothing to evaluate."""

    round: int
    attempt: int = 1
    reason: str  # the step and its pairs
    minutes: float

    @property
    def name(self) -> str:
        return str(Attempt(self.round, self.attempt))


class TestSummary(Record):
    """Of prompts that no choice has looked at."""

    __test__ = False  # a result, for pytest

    round: int
    attempt: int = 1
    overall: float
    interval: Interval | None
    tags: dict[str, float]
    empty_share: float
    gain: Difference | None  # over the base


class LoopSummary(Record):
    rounds: list[RoundSummary]
    best: int = 0  # the round that the loop ends with: of the highest overall, 0 is the base
    best_weights: str | None = None  # its policy, in the loop's folder
    lost: list[LostTraining] = Field(default=[])
    test: list[TestSummary] = Field(default=[])
    no_test: str | None = None  # why there is none
    warning: str | None  # where the judge and the evaluator part
    quality_warning: str | None = None  # where images get worse while overall rises
    evaluator: dict[str, object]
    judge: dict[str, object]
    settings: dict[str, object]
    sampler: dict[str, object] | None
    versions: dict[str, str]

    @property
    def best_round(self) -> RoundSummary:
        return next(entry for entry in self.rounds if entry.round == self.best)

    @property
    def attempts(self) -> list[RoundSummary]:
        """Every training in the order of work, the base first."""
        return [attempt for entry in self.rounds for attempt in entry.attempts]

    @property
    def accepted(self) -> list[RoundSummary]:
        return [entry for entry in self.rounds if entry.accepted]

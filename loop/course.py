"""Where a loop stands after what it has tried: told by the evaluations, so a stopped loop finds it
again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sipo.loop.acceptance import Decision
from sipo.loop.attempts import ATTEMPTS, BASE, Attempt


@dataclass(frozen=True)
class Trial:
    attempt: Attempt
    decision: Decision | None  # None: the base


@dataclass(frozen=True)
class Course:
    """`now` is the policy that the next round samples from; `best` has the highest Overall.

    `mark` is the best of when a gain was last clear, `idle` the rounds since: small gains that come
    to a clear one together count.
    """

    trials: tuple[Trial, ...] = (Trial(BASE, None),)
    best: Attempt = BASE
    now: Attempt = BASE
    mark: Attempt = BASE
    idle: int = 0
    lost: tuple[Attempt, ...] = ()
    """Trainings whose loss was not finite: there is nothing to evaluate."""

    def without(self, attempt: Attempt) -> Course:
        """After a training that is lost."""
        skipped = attempt.number == ATTEMPTS
        now = self.best if skipped else self.now
        return replace(self, lost=(*self.lost, attempt), now=now, idle=self.idle + skipped)

    def after(self, attempt: Attempt, decision: Decision, gained: bool) -> Course:
        """`gained`: it is clearly above `mark`."""
        trials = (*self.trials, Trial(attempt, decision))
        if not decision.accepted:
            skipped = attempt.number == ATTEMPTS
            now = self.best if skipped else self.now
            return replace(self, trials=trials, now=now, idle=self.idle + skipped)
        better = decision.difference.difference > 0
        return replace(
            self,
            trials=trials,
            best=attempt if better else self.best,
            now=attempt,
            mark=attempt if gained and better else self.mark,
            idle=0 if gained and better else self.idle + 1,
        )

    @property
    def slower(self) -> float:
        """What the next training's learning rate is multiplied with: half for every one that was
        rejected or lost, since a rate that was too high for one round is so for those after it,
        which begin nearer to what can be reached.
        """
        rejected = sum(not is_accepted(each) for each in self.trials)
        return float(0.5 ** (rejected + len(self.lost)))

    @property
    def accepted(self) -> list[Attempt]:
        """The base first."""
        return [each.attempt for each in self.trials if is_accepted(each)]


def is_accepted(trial: Trial) -> bool:
    return trial.decision is None or trial.decision.accepted

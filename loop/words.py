"""What a loop has brought in sentences, in the figures of its tables and curves and no others."""

from __future__ import annotations

from collections.abc import Iterator

from sipo.geneval.comparison.gain_words import gain_in_words
from sipo.loop.attempts import ATTEMPTS
from sipo.loop.result import LoopSummary, RoundSummary
from sipo.loop.tables import training_warnings


def headline(result: LoopSummary, goes_on: bool = False) -> str:
    """What came out, in a few sentences; `goes_on`: it is at work."""
    first, done = result.rounds[0], len(result.rounds) - 1
    if not done:
        said = f"The base scores {first.overall:.3f}; no round is done yet."
        return " ".join([said, *_rejected(result)])
    return " ".join([*_course(result, goes_on), *_rejected(result), *_warned(result)])


def sentence_of_test(result: LoopSummary) -> str:
    """What the prompts say that no choice has looked at."""
    if result.no_test:
        return f"There is no test: {result.no_test}."
    tested = {entry.round: entry for entry in result.test}
    base, best = tested.get(0), tested.get(result.best)
    if base is None or best is None:
        return "The test is still to come: prompts that no choice has looked at."
    if best.gain is None:
        return f"On the test prompts the base scores {base.overall:.3f}."
    return (
        f"On the test prompts, which no choice has looked at, round {best.round} went from "
        f"{base.overall:.3f} to {best.overall:.3f}: {gain_in_words(best.gain)}."
    )


def has_ended(result: LoopSummary) -> bool:
    """As far as the folder says: where there is a test, it comes last."""
    return bool(result.no_test) or {0, result.best} <= {entry.round for entry in result.test}


def _course(result: LoopSummary, goes_on: bool) -> Iterator[str]:
    """From the base to the best round, and where it stands since."""
    first, best, last = result.rounds[0], result.best_round, result.accepted[-1]
    done = len(result.rounds) - 1
    spent = [entry.minutes for entry in result.attempts] + [lost.minutes for lost in result.lost]
    minutes = f"{sum(spent):.0f} minutes"
    if best.gain is None:
        yield (
            f"No round of {done} is above the base in Overall, which scores {first.overall:.3f}, "
            f"after {minutes}."
        )
    else:
        rounds = f"{done} round{'s' * (done > 1)}"
        by = "" if done == 1 else f", with round {best.round}"
        yield (
            f"Overall went from {first.overall:.3f} to {best.overall:.3f} in {rounds} and "
            f"{minutes}{by}: {gain_in_words(best.gain)}."
        )
    if last.round != best.round:
        yield _since(best, last)
    name = f"round {best.round}, its best" if best.round else "the base"
    if goes_on or not has_ended(result):
        yield f"So far its best is {name.partition(',')[0]}."
    elif done > 1 or not best.round:
        yield f"The loop ends with {name}."


def _since(best: RoundSummary, last: RoundSummary) -> str:
    """Of the last round that was kept, which is not the best."""
    below = round(best.overall, 3) - round(last.overall, 3)  # as both are shown
    if below < 0.0005:
        return f"Round {last.round}, the last that was kept, is no higher at {last.overall:.3f}."
    return f"Round {last.round}, the last that was kept, is below at {last.overall:.3f}."


def _rejected(result: LoopSummary) -> Iterator[str]:
    rejected = [entry for entry in result.rounds if not entry.accepted]
    ended = {entry.round for entry in result.lost if entry.attempt >= ATTEMPTS}
    skipped = [entry for entry in rejected if entry.attempt >= ATTEMPTS or entry.round in ended]
    again = [entry for entry in result.rounds if entry.accepted and entry.rejected]
    waiting = [entry for entry in rejected if entry not in skipped]
    for said, entries in (
        ("Accepted only when trained again", again),
        ("Rejected and skipped", skipped),
        ("Rejected, to be trained again", waiting),
        ("Ended at a loss that is not finite, and not evaluated", result.lost),
    ):
        if entries:
            names = dict.fromkeys(f"round {entry.round}" for entry in entries)
            yield f"{said}: {', '.join(names)}."


def _warned(result: LoopSummary) -> Iterator[str]:
    count = len(training_warnings(result))
    if count:
        things = "thing" if count == 1 else "things"
        yield f"Training warned of {count} {things}, below: look at the images before you use it."

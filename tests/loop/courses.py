"""Loops made by hand: what every round brought, without a round."""

from __future__ import annotations

from typing import Any

from sipo.common.statistics import Difference
from sipo.loop.result import LoopSummary, RoundSummary, TestSummary

BASE = 0.5


def entry(number: int, overall: float, half: float = 0.05, **more: Any) -> RoundSummary:
    """A round whose gain over a base of .5 has an interval of +- `half`."""
    gained = overall - BASE
    low, high = gained - half, gained + half
    gain = Difference(
        a=BASE, b=overall, difference=gained, interval=(low, high), clear=not low <= 0 <= high
    )
    own: dict[str, Any] = {
        **{"interval": (overall - half, overall + half), "tags": {"colors": overall}},
        **{"judge_overall": overall, "gain": gain if number else None, "tag_gains": None},
        **{"empty_share": 0, "pairs": None, "best_of_n": None, "minutes": 2.0},
        "stage_minutes": {},
    }
    return RoundSummary(round=number, overall=overall, **(own | more))


def course(*rounds: RoundSummary, best: int, tested: bool = True, **more: Any) -> LoopSummary:
    """A loop that has ended with `best`, or, not `tested`, goes on."""
    all_rounds = [entry(0, BASE), *rounds]
    chosen = next(each for each in all_rounds if each.round == best)
    test = [
        TestSummary(
            round=each.round, overall=each.overall - 0.1, interval=None, tags={"colors": 0.4},
            empty_share=0, gain=each.gain,
        )
        for each in ([all_rounds[0], chosen] if best else [chosen])
    ]  # fmt: skip
    own: dict[str, Any] = {
        **{"warning": None, "evaluator": {"id": "e"}, "judge": {"id": "j"}, "settings": {}},
        **{"sampler": {}, "versions": {}, "test": test if tested else []},
    }
    return LoopSummary(rounds=all_rounds, best=best, **(own | more))

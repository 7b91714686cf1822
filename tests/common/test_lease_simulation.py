"""Fifty workers, some slow, some dying: the real leases on a counted clock."""

from __future__ import annotations

from itertools import repeat

from lease_simulation import Fleet, Simulation

from sipo.common.files.leases import Leases
from sipo.common.pace import Pace
from sipo.common.processes import Process
from sipo.common.shared_work import Shared


def test_nearly_as_fast_as_can_be_and_nothing_lost() -> None:
    fleet = Fleet(pieces=500, workers=50)
    outcome = Simulation(fleet).run()
    assert outcome.made == fleet.pieces
    assert outcome.deaths
    assert outcome.twice == 0  # but for what died in hand, which was never made
    assert outcome.lost_s <= outcome.deaths * 330
    assert outcome.ended_s <= 1.05 * outcome.bound_s
    assert outcome.known_s <= outcome.ended_s + 20
    assert outcome.calls["create"] == fleet.pieces + outcome.deaths  # none is tried in vain
    assert outcome.calls["is_made"] < 5 * fleet.pieces * fleet.workers


def test_who_is_much_slower_leaves_the_last_ones_to_the_others() -> None:
    now = [0.0]
    pace = Pace(total=100, processes=10, clock=lambda: now[0])
    now[0] = 50.0
    assert not pace.steps_back(40)  # it has made none yet, and knows nothing of itself
    pace.made()  # 50 s a piece; all together 60 in that time
    assert not pace.steps_back(60)
    assert pace.steps_back(20)  # 20 at that pace: 12.5 s
    now[0] = 99.0
    assert pace.steps_back(20)
    now[0] = 151.0  # no longer than it would have taken itself: the others may have ended
    pace.waited(101)
    assert not pace.steps_back(20)


def test_where_nobody_says_how_many_there_are_none_steps_back() -> None:
    now = [0.0]
    pace = Pace(total=100, processes=1, clock=lambda: now[0])
    now[0] = 50.0
    pace.made()
    assert not pace.steps_back(1)


def test_who_waits_looks_less_and_less_often() -> None:
    class Nobodys(Leases):
        def claim(self, name: str) -> bool:
            return False

    shared = Shared([0], lambda _: False, Nobodys(None), "shard", process=Process())  # type: ignore[arg-type]
    pauses = []
    for _ in repeat(None, 60):
        assert list(shared.claimed()) == []
        pauses.append(shared.pause_s())
    assert pauses[0] == 1
    assert pauses == sorted(pauses)
    assert pauses[-1] == 15

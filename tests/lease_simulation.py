"""Many workers share out pieces of work by the real leases, on a clock that is only counted.

`common/files/leases.py`, `common/shared_work.py` and `common/pace.py` run as they are; of
`Shared.until_done` the loop of three lines stands in `Worker.life`, which says how long it would
sleep or work instead of doing so. Events come in the order of their time, so a seed gives the same
run every time.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from memory_leases import MemoryStore

from sipo.common.files.leases import BEAT_S, Leases, Mark, Owner
from sipo.common.processes import Process
from sipo.common.shared_work import Shared

ROUND_TRIPS = {"create": 3, "look": 2, "remove": 4, "touch": 3, "is_made": 2}
"""Calls of a file system for each, about; an index that is there is opened and read."""


@dataclass(frozen=True)
class Fleet:
    """A `share` of the workers is `slow` times slower; a share dies once, at a time of the run that
    is drawn, and comes again after `gone_s`, with nothing but its rank."""

    pieces: int
    workers: int
    seed: int = 0
    piece_s: float = 300.0  # of full speed, +- 10 %
    slow: float = 5.0
    slow_share: float = 0.05
    die_share: float = 0.05
    gone_s: float = 120.0
    call_s: float = 0.001  # of the file system


@dataclass
class Outcome:
    ended_s: float  # when the last piece was made
    most_s: float  # when 99.9 % of them were
    known_s: float  # when the last worker knew
    bound_s: float
    fluid_s: float
    made: int
    twice: int
    deaths: int
    lost_s: float  # of full speed, with the pieces that died in hand
    calls: Counter[str] = field(default_factory=Counter)


class Simulation:
    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.now_s = fleet, 0.0
        chance = random.Random(fleet.seed)
        self.piece_s = [fleet.piece_s * chance.uniform(0.9, 1.1) for _ in range(fleet.pieces)]
        self.slowness = [
            fleet.slow if chance.random() < fleet.slow_share else 1.0 for _ in range(fleet.workers)
        ]
        ideal_s = sum(self.piece_s) / sum(1 / slow for slow in self.slowness)
        self.deaths = {
            rank: chance.uniform(0, ideal_s)
            for rank in range(fleet.workers)
            if chance.random() < fleet.die_share
        }
        self.store, self.made = MemoryStore(), Counter[int]()
        self.ends_s: list[float] = []
        self.known_s = self.lost_s = 0.0
        self.calls: Counter[str] = Counter()
        self._events: list[tuple[float, int, partial[None]]] = []
        self._order = count()

    def at(self, time_s: float, event: partial[None]) -> None:
        heapq.heappush(self._events, (time_s, next(self._order), event))

    def run(self) -> Outcome:
        workers = [Worker(self, rank, 0) for rank in range(self.fleet.workers)]
        for rank, time_s in self.deaths.items():
            self.at(time_s, partial(workers[rank].die))
        while self._events:
            self.now_s, _, event = heapq.heappop(self._events)
            event()
        fluid_s, bound_s = self._bound()
        return Outcome(
            ended_s=self.ends_s[-1],
            most_s=self.ends_s[int(0.999 * len(self.ends_s)) - 1],
            known_s=self.known_s,
            bound_s=bound_s,
            fluid_s=fluid_s,
            made=len(self.made),
            twice=sum(times - 1 for times in self.made.values()),
            deaths=len(self.deaths),
            lost_s=self.lost_s,
            calls=self.calls,
        )

    def _bound(self) -> tuple[float, float]:
        """When the work, with what died in hand, is done if none of the speed that is there is ever
        idle; and that with its unavoidable tail, the later of two ends:

        - a piece is not divided: the last one may be begun just when all would be done, and takes
          the longest a piece takes at full speed;
        - how slow a worker is nobody knows before its first piece: who comes before the end takes
          one, and ends it at its own speed.
        """
        fleet, work_s = self.fleet, sum(self.piece_s) + self.lost_s
        speed = sum(1 / slow for slow in self.slowness)
        changes = []
        for rank, died_s in self.deaths.items():
            changes += [(died_s, -1 / self.slowness[rank])]
            changes += [(died_s + fleet.gone_s, 1 / self.slowness[rank])]
        fluid_s = 0.0
        for time_s, change in sorted(changes):
            if work_s <= speed * (time_s - fluid_s):
                break
            work_s -= speed * (time_s - fluid_s)
            fluid_s, speed = time_s, speed + change
        fluid_s += work_s / speed
        longest_s = max(self.piece_s)
        came = ((died_s + fleet.gone_s, rank) for rank, died_s in self.deaths.items())
        firsts = [at_s + longest_s * self.slowness[rank] for at_s, rank in came if at_s < fluid_s]
        return fluid_s, max([fluid_s + longest_s, *firsts])


class Worker:
    """One process; also the store that its leases see, which counts its calls and their time."""

    def __init__(self, simulation: Simulation, rank: int, life: int) -> None:
        self.simulation, self.rank = simulation, rank
        self.dead = self.knows = False
        self.began_s: float | None = None
        self._calls_s = 0.0
        owner = Owner(f"machine {rank}", 1, f"{rank}-{life}")
        self.leases = Leases(self, owner, lambda: simulation.now_s)
        self._life = self.life()
        simulation.at(simulation.now_s, partial(self.go_on))
        simulation.at(simulation.now_s + BEAT_S, partial(self.beat))

    def life(self) -> Iterator[float]:
        """Yields how long it works or waits."""
        of, process = self.simulation, Process(self.rank, self.simulation.fleet.workers)
        shared = Shared(
            range(of.fleet.pieces),
            self.is_made,
            self.leases,
            "shard",
            process=process,
            clock=lambda: of.now_s,
        )
        while shared.left:
            for number in shared.claimed():
                yield self._spent()
                self.began_s = of.now_s
                yield of.piece_s[number] * of.slowness[self.rank]
                self.began_s = None
                of.ends_s.append(of.now_s)
                of.made[number] += 1
                shared.made(number)
            yield self._spent() + shared.pause_s()

    def go_on(self) -> None:
        if self.dead:
            return
        pause_s = next(self._life, None)
        if pause_s is None:
            self.knows, self.simulation.known_s = True, self.simulation.now_s
        else:
            self.simulation.at(self.simulation.now_s + pause_s, partial(self.go_on))

    def beat(self) -> None:
        if not (self.dead or self.knows):
            self.leases.beat()
            self._spent()  # the heart beats beside the work
            self.simulation.at(self.simulation.now_s + BEAT_S, partial(self.beat))

    def die(self) -> None:
        """With what it has in hand, whose lease stays; another one comes in its place."""
        of = self.simulation
        if self.knows:
            return
        self.dead = True
        if self.began_s is not None:
            of.lost_s += (of.now_s - self.began_s) / of.slowness[self.rank]
        of.at(of.now_s + of.fleet.gone_s, partial(self._come_again))

    def _come_again(self) -> None:
        Worker(self.simulation, self.rank, 1)

    def is_made(self, number: int) -> bool:
        self._called("is_made")
        return number in self.simulation.made

    def create(self, name: str, owner: Owner) -> bool:
        self._called("create")
        return self.simulation.store.create(name, owner)

    def look(self, name: str) -> Mark | None:
        self._called("look")
        return self.simulation.store.look(name)

    def touch(self, name: str, owner: Owner) -> None:
        self._called("touch")
        self.simulation.store.touch(name, owner)

    def remove(self, name: str, mark: Mark) -> bool:
        self._called("remove")
        return self.simulation.store.remove(name, mark)

    def _called(self, kind: str) -> None:
        self.simulation.calls[kind] += 1
        self._calls_s += ROUND_TRIPS[kind] * self.simulation.fleet.call_s

    def _spent(self) -> float:
        """What its calls took since they were last asked for."""
        spent, self._calls_s = self._calls_s, 0.0
        return spent

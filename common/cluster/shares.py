"""Of a cluster: what a worker has who samples, and one who judges where judges are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sipo.common.cluster.connection import Cluster, Share


class Asked(Protocol):
    """Settings with those of runner_settings.py."""

    @property
    def workers(self) -> int | None: ...
    @property
    def gpus_per_worker(self) -> float | None: ...
    @property
    def judge_gpus(self) -> float | None: ...
    @property
    def judge_workers(self) -> int | None: ...


@dataclass(frozen=True)
class Shares:
    sampler: Share
    judge: Share | None
    judges: int
    samplers: int | None

    @classmethod
    def of(cls, asked: Asked, cluster: Cluster) -> Shares:
        gpus, of_judge = asked.gpus_per_worker, asked.judge_gpus
        sampler = Share.with_gpus(float(cluster.has_cards) if gpus is None else gpus)
        judge = None if of_judge is None else Share.with_gpus(of_judge)
        return cls(sampler, judge, asked.judge_workers or 1, asked.workers)

    def wanted(self, cluster: Cluster) -> int:
        """Samplers: as asked, else as many as there is room for now."""
        return self.samplers or cluster.room_for(self.sampler, self.judge, self.judges)

    def device(self, asked: str) -> str:
        """A worker without a card looks for none."""
        return "cpu" if asked == "auto" and not self.sampler.gpus else asked

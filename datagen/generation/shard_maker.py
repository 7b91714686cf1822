"""The worker that makes shards in a Ray cluster: it loads its models once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from threading import Lock

import torch

from sipo.common.cluster.given_work import GivenWork
from sipo.common.cluster.worker import Place, elsewhere, require_shared
from sipo.common.quiet_libraries import no_loading_bars
from sipo.datagen.generation.build import prepare
from sipo.datagen.generation.run import make_shards
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_config import FILE, FolderConfig
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict


class ShardMaker:
    """The actor. `judge` is one in workers of its own, or None: the settings' own here."""

    def __init__(
        self,
        settings: GenerateSettings,
        prompts: Sequence[Prompt],
        place: Place,
        judge: Judge | None,
    ) -> None:
        self._asked = settings, prompts
        self._place, self._judge = place, judge
        self._given: GivenWork | None = None
        self._lock = Lock()
        self._seen: deque[Verdict] = deque()

    def load(self) -> FolderConfig:
        """What its shards depend on."""
        self._place.enter()
        no_loading_bars()
        self._job = prepare(*self._asked, judge=self._judge, continuing=False)
        if self._job.config.device == "cpu":
            torch.set_num_threads(1)  # as of the processes that sample on one machine
        return self._job.config

    def make(self, folder: ShardFolder, number: int) -> list[Verdict]:
        """A shard, whatever it lacks. Returns the verdicts that were written by then, bare."""
        self._work_on(folder).make(number)
        return [self._seen.popleft() for _ in range(len(self._seen))]

    def _work_on(self, folder: ShardFolder) -> GivenWork:
        with self._lock:
            if self._given is None:
                require_shared(folder.path / FILE, folder.path)
                if FolderConfig.read(folder.path).as_read() != folder.config.as_read():
                    raise elsewhere(folder.path)
                self._given = GivenWork(partial(make_shards, self._job, folder, track=self._see))
            return self._given

    def _see(self, verdict: Verdict) -> None:
        bare: dict[str, object] = {"judge": {}, "boxes": (), "complaints": (), "evidence": {}}
        self._seen.append(verdict.model_copy(update=bare))

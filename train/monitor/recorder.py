"""What the main process keeps of a run while it goes: log, trackers, progress bar, warnings."""

from __future__ import annotations

import time
from collections.abc import Callable

from PIL import Image
from torch import Tensor

from sipo import __version__
from sipo.common.bars import bar, numbers, say
from sipo.common.files.urls import place_of
from sipo.common.files.working_folders import working_folder
from sipo.train import checkpoint_files
from sipo.train.checkpoint_files import SavePolicy
from sipo.train.monitor.health import COLLAPSE, WINNER_ERROR, Health
from sipo.train.monitor.log_rows import Look, Row
from sipo.train.monitor.metrics import Log, StepStats, row_of
from sipo.train.monitor.trackers import Trackers
from sipo.train.monitor.validation import validation_prompts
from sipo.train.monitor.validation_sheet import cut_sheet
from sipo.train.run_length import RunLength
from sipo.train.settings import TrainSettings


class Recorder:
    """A row of the log is the mean since the last one. It ends every `logging_steps`, at a
    validation and at a checkpoint by steps, and at no other: no row depends on the clock.
    """

    def __init__(
        self,
        settings: TrainSettings,
        plan: RunLength,
        step: int,
        sums: Tensor,
        saver: Callable[[], SavePolicy],
    ) -> None:
        """After `step` steps; `sums` are of those since the last row. `saver` gives what writes the
        policy as it is.
        """
        self.settings, self.plan, self.sums = settings, plan, sums
        self.saver, self.out = saver, working_folder(settings.out)
        self.log = Log(self.out, step)
        self.trackers = Trackers(
            *(self.out, settings.report_to, settings.tracker_project_name, self._config()),
            *(self.log.rows(), self.log.last_row, step, self._pictures),
        )
        self.health = Health(settings=settings.model_dump())
        for earlier in self.log.rows():
            self.health.look(earlier)
        if settings.keep_best and self.health.best:
            checkpoint_files.best_step(self.out)
        self.validated: dict[str, str] = {}  # overall of the last validation
        name = place_of(settings.out).name
        self.bar = bar(plan.pairs, name, "pairs", done=step * plan.pairs_per_step)
        self.began, self.began_at = time.monotonic(), step

    @property
    def ended(self) -> bool:
        """By --stop_on_collapse or --stop_on_winner_error."""
        collapsed = self.settings.stop_on_collapse and COLLAPSE in self.health.standing
        return collapsed or WINNER_ERROR in self.health.standing

    @property
    def has_seen(self) -> bool:
        """Whether validation has."""
        return self.health.best is not None

    def observe(self, stats: StepStats, seen: Look | str | None, is_last: bool = False) -> None:
        """After a step; `seen` is what validation saw, or why it saw nothing, where it was due."""
        self.sums = self.sums + stats.sums
        self.bar.update(self.plan.pairs_per_step)
        due = checkpoint_files.is_due(self.settings, stats.step, self.plan.end)
        ends = is_last or due
        if ends or seen is not None or stats.step % self.settings.logging_steps == 0:
            self._end_row(stats, seen)

    def _end_row(self, stats: StepStats, seen: Look | str | None) -> None:
        row = row_of(stats, self.sums, self.plan.pairs_per_step)
        self.sums = self.sums.new_zeros(())
        if isinstance(seen, str):
            row["validation_failed"] = seen
        elif seen is not None:
            row["validation"] = seen
        if warnings := self.health.look(row):
            row["warnings"] = warnings
        for warning in warnings:
            say(f"warning at step {stats.step}: {warning}")
        if self.settings.keep_best and self.health.is_best(stats.step):
            checkpoint_files.keep_best(self.out, stats.step, self.saver())
        pairs = (stats.step - self.began_at) * self.plan.pairs_per_step
        row["pairs_per_s"] = round(pairs / (time.monotonic() - self.began), 2)
        self.log.write(row)
        self.trackers.write(row)
        if seen is not None and not isinstance(seen, str):
            self.validated = {"valid": f"{seen['overall']:.3f}"}
        self._show(row)
        self.began, self.began_at = time.monotonic(), stats.step

    def _show(self, row: Row) -> None:
        rewards = {}
        if "psi_w" in row:
            rewards["psi"] = f"{row['psi_w']:+.2f}/{row['psi_l']:+.2f}"
            rewards["acc"] = f"{row['implicit_acc']:.2f}"
        numbers(self.bar, loss=f"{row['loss']:.3f}", **rewards, **self.validated)

    def close(self) -> None:
        self.bar.close()
        self.trackers.close()

    def _config(self) -> dict[str, object]:
        """Of the run, for trackers."""
        of_run = {"steps": self.plan.steps, "pairs_per_step": self.plan.pairs_per_step}
        of_run |= {"dataset_pairs": self.plan.dataset_pairs}
        return {**self.settings.model_dump(mode="json"), **of_run, "sipo": __version__}

    def _pictures(self, sheet: Image.Image) -> list[tuple[str, Image.Image]]:
        """Of a sheet of validation, with their prompts."""
        texts = [prompt.text for prompt in validation_prompts(self.settings)]
        return cut_sheet(sheet, texts, self.settings.num_validation_images)

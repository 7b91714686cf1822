"""The training loop, one for every objective and backbone.

A step is a function of (weights, optimizer, step number): the pairs, timesteps and noise come from
`--seed` and the position in the stream. So a run that was stopped anywhere and started again with
the same command ends with the same weights.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers.optimization import get_scheduler
from torch import Tensor

from sipo.backbones.base import Backbone
from sipo.common.bars import say
from sipo.common.errors import reason_of
from sipo.common.files.locks import only_writer
from sipo.common.files.working_folders import WorkingFolder
from sipo.train import checkpoint_files, not_finite
from sipo.train.auto_beta import AutoBeta
from sipo.train.build import (
    behaviour_of,
    make_accelerator,
    open_backbone,
    open_data,
    open_source,
    open_validation,
)
from sipo.train.checkpoint_files import RunSummary, SavePolicy
from sipo.train.checkpoint_schedule import WINNERS, Checkpointer, Part
from sipo.train.data.pair_batches import Data, positions
from sipo.train.data.turns import Turns
from sipo.train.distributed.accelerate_env import as_launched
from sipo.train.distributed.optimizer_step import Stepper
from sipo.train.ema import Ema, MovingReference
from sipo.train.few_steps import say_undone
from sipo.train.monitor.health import diagnose
from sipo.train.monitor.log_rows import Look, read_rows
from sipo.train.monitor.metrics import StepStats, mean_of, sum_metrics
from sipo.train.monitor.recorder import Recorder
from sipo.train.monitor.report_to import require_trackers
from sipo.train.objective.losses import add_terms, cap_margin, safe_loser
from sipo.train.objective.registry import find_objective
from sipo.train.optimizer import make_optimizer
from sipo.train.policy import Policy
from sipo.train.run_length import RunLength, make_plan
from sipo.train.settings import TrainSettings
from sipo.train.sharing.model_card import write_model_card
from sipo.train.sharing.push_run import begin_push, end_push
from sipo.train.stopping import Stopping
from sipo.train.timesteps import trained_timesteps
from sipo.train.winner_error import WinnerError

if TYPE_CHECKING:
    from accelerate import Accelerator


def train(
    settings: TrainSettings,
    backbone: Backbone | None = None,
    dataset: Data | None = None,
    stopping: Stopping | None = None,
) -> RunSummary:
    """Train, or go on, or find that all is done; returns what `summary.json` holds.

    `backbone` must be the base model as `load_backbone` gives it; its denoiser is trained in place.
    Raises ValueError for settings that cannot be met, FloatingPointError when the loss is no
    longer finite, and KeyboardInterrupt, with what was kept, when the process was asked to stop.
    """
    settings = as_launched(settings)
    require_trackers(settings.report_to)
    data = open_data(settings) if dataset is None else dataset
    accelerator = make_accelerator(settings)  # first: it says which card is this process's
    if backbone is None:
        divided = settings.shard_weights and accelerator.num_processes > 1
        backbone = open_backbone(settings, data, divided)
    last = data.last_step if isinstance(data, Turns) else None
    plan = make_plan(settings, len(data), accelerator.num_processes, last)
    trained_timesteps(settings, backbone)
    folder = checkpoint_files.run_folder(settings)
    out = folder.here
    facts = checkpoint_files.Facts(
        data=data.fingerprint(),
        backbone_weights=backbone.weights_sha256() if accelerator.is_main_process else "",
        steps=plan.steps,
        pairs_per_step=plan.pairs_per_step,
    )
    if (part := find_objective(settings.objective).part) is not None:
        facts["objective"] = part.provenance()
    if backbone.part is not None:
        facts["backbone"] = backbone.part
    main = accelerator.is_main_process
    alone = only_writer(folder.place, "sipo-train") if main else nullcontext()
    with alone, folder.fetched(accelerator.is_local_main_process):
        if main:
            checkpoint_files.open_run(out, settings, facts)
        accelerator.wait_for_everyone()
        resume = checkpoint_files.checkpoint_to_resume(out, settings)
        done = checkpoint_files.finished(out, resume, plan.end, settings)
        if resume and done:
            if main:
                say(f"{folder.place} is finished ({resume.name}); nothing to do")
                end_push(settings, say)
            accelerator.wait_for_everyone()  # all have read it
            return done
        if main:
            say_undone(backbone)
            begin_push(settings)
        policy = Policy(backbone, settings, behaviour_of(settings, data, backbone))
        trainer = Trainer(settings, plan, accelerator, policy, data, folder)
        if resume:
            trainer.load(resume)
        summary = trainer.run(stopping or Stopping())
        if main:
            end_push(settings, say)
        return summary


class Trainer:
    """Everything that changes during a run, and the steps that change it."""

    def __init__(
        self,
        settings: TrainSettings,
        plan: RunLength,
        accelerator: Accelerator,
        policy: Policy,
        data: Data,
        folder: WorkingFolder | None = None,
    ) -> None:
        folder = folder or checkpoint_files.run_folder(settings)
        self.settings, self.plan, self.accelerator = settings, plan, accelerator
        self.policy, self.folder, self.out, self.done = policy, folder, folder.here, 0
        self.stopping = Stopping()
        self.row_sums = torch.zeros(())  # of `sum_metrics`, since the last row of the log
        self.loss = find_objective(settings.objective).loss
        policy.prepare(accelerator)
        self.source = open_source(settings, policy, data)
        self.validation = open_validation(settings, policy, data)
        trainable = policy.trainable()
        optimizer = make_optimizer(settings, trainable.values())
        self.stepper = Stepper(accelerator, settings, policy, optimizer)
        # Not prepared: it is stepped once an optimizer step, whatever the number of processes.
        self.scheduler = get_scheduler(
            settings.lr_scheduler,
            optimizer,
            num_warmup_steps=settings.lr_warmup_steps,
            num_training_steps=plan.steps,
        )
        self.ema = Ema(trainable, settings.ema_decay)
        moving = policy.moving_reference()
        self.moving = MovingReference(trainable, settings.reference_decay, moving)
        self.auto_beta = AutoBeta(settings.beta_dpo)
        self.not_finite = ""
        self.winner_error = WinnerError(settings.stop_on_winner_error, plan.pairs_per_step)
        parts: dict[str, Part] = {"policy": policy, "optimizer": self.stepper, "ema": self.ema}
        parts["scheduler"] = self.scheduler
        if moving:
            parts["reference"] = self.moving
        if settings.auto_beta:
            parts["beta"] = self.auto_beta
        if settings.stop_on_winner_error is not None:
            parts[WINNERS] = self.winner_error
        if self.source.cache is not None:
            parts["reference_errors"] = self.source.cache
        if accelerator.scaler is not None:
            parts["scaler"] = accelerator.scaler
        self.checkpointer = Checkpointer(
            settings, plan.end, accelerator, parts, self.policy_saver, policy.saved_weights
        )

    def load(self, checkpoint: Path) -> None:
        sums = self.checkpointer.load(checkpoint)
        self.done = checkpoint_files.step_of(checkpoint)
        self.row_sums = self.row_sums if sums is None else sums

    def run(self, stopping: Stopping) -> RunSummary:
        """To the last step, or until the run has to end before or is asked to stop."""
        stopping.again_at_once = self.accelerator.num_processes == 1
        recorder = self.recorder() if self.accelerator.is_main_process else None
        self.stopping, stop = stopping, False
        [ended, has_seen] = self.agreed(
            recorder is not None and recorder.ended, recorder is not None and recorder.has_seen
        )
        if self.validation is not None:
            self.validation.has_seen = has_seen
        with stopping:
            while not (ended or stop or self.done == self.plan.end):
                if (stats := self.step()) is None:
                    self.checkpointer.save(self.done, self.row_sums, between=False)
                    break
                seen = self.validate()
                is_over = self.winner_error.is_over  # every process knows
                if recorder is not None:
                    recorder.observe(stats, seen, is_over)
                    self.row_sums = recorder.sums
                if seen is not None:
                    [ended] = self.agreed(recorder is not None and recorder.ended)
                ended = ended or is_over
                stop, due = stats.stop, self.checkpointer.due(self.done)
                if (due or ended or stop or stats.late) and not self.last_good():
                    self.checkpointer.save(self.done, self.row_sums, not (due or ended))
                    self.upload()
        if recorder is not None:
            recorder.close()
        self.upload()
        if stop and not (ended or self.done == self.plan.end):
            self.accelerator.wait_for_everyone()  # the first that ends takes the others with it
            raise stopping.interrupt(self.stopped())
        self.finish()
        self.upload()
        self.accelerator.wait_for_everyone()
        return checkpoint_files.summary_of(self.out)

    def upload(self) -> None:
        """To where --out is, if that is a URL; all wait in what comes next."""
        if self.accelerator.is_main_process:
            self.folder.upload()

    def recorder(self) -> Recorder:
        return Recorder(self.settings, self.plan, self.done, self.row_sums, self.policy_saver)

    def agreed(self, *votes: bool) -> list[bool]:
        """What any process says, on all of them: they must do alike."""
        if self.accelerator.num_processes == 1:
            return list(votes)
        counts = torch.tensor([float(yes) for yes in votes], device=self.accelerator.device)
        return [bool(count > 0) for count in self.accelerator.reduce(counts).tolist()]

    def stopped(self) -> str:
        """The last word of a run that was asked to stop."""
        kept, again = f"{self.folder.place}/checkpoint-{self.done}", "the same command again"
        if self.settings.resume_from_checkpoint != "latest":
            named = f"checkpoint-{self.done}" if self.folder.there else kept
            again = f"the same command with --resume_from_checkpoint {named}"
        return f"stopped at step {self.done} of {self.plan.steps}; kept {kept}; {again} goes on"

    def validate(self) -> Look | str | None:
        """After a step, where it is due; all processes take part."""
        if self.validation is None or not self.validation.is_due(self.done, self.plan):
            return None
        with self.ema.in_place():
            return self.validation.look(self.done)

    def step(self) -> StepStats | None:
        """One optimizer step, over all processes and micro-batches; None, with the weights as they
        were, where its loss is not finite and --stop_on_nan lets the run end with them.

        One exchange between processes beside the gradients', and one wait for the device: before
        the weights change.
        """
        settings, accelerator = self.settings, self.accelerator
        lr = self.scheduler.get_last_lr()[0]
        local = torch.zeros((), device=accelerator.device)
        keys: list[str] = []
        for part in range(settings.gradient_accumulation_steps):
            last = part + 1 == settings.gradient_accumulation_steps
            with self.stepper.micro_step(last):
                part_sums, part_keys = self.forward_backward(part)
            local, keys = local + part_sums, keys + part_keys
        votes = self.stopping.asked, accelerator.is_main_process and self.checkpointer.late()
        told = [local, *(local.new_full((1,), float(vote)) for vote in votes)]
        together: Tensor = accelerator.reduce(torch.cat(told))
        norm = self.stepper.divide_and_clip(num_kept=together[1])
        *sums, stop, late, grad_norm = read(torch.cat([together, norm.reshape(1)]))
        if not (isfinite(sums[0]) and (isfinite(grad_norm) or accelerator.scaler)):
            self.not_finite = not_finite.where(self.done + 1, keys)
            if not (settings.stop_on_nan and self.done):  # before its first step nothing is learnt
                raise FloatingPointError(f"{self.not_finite}; {not_finite.way_on(self.out)}")
            return None
        self.stepper.apply()
        self.scheduler.step()
        self.done += 1
        self.ema.update(self.done)
        self.moving.update(self.done)
        growth, beta = self.watch(sums), self.beta
        if settings.auto_beta:
            self.auto_beta.update(mean_of("abs_z", sums))
        exact = torch.tensor(sums, dtype=torch.float64)
        return StepStats(self.done, lr, beta, grad_norm, exact, stop > 0, late > 0, growth)

    @property
    def beta(self) -> float:
        """Of this step."""
        return self.auto_beta.beta if self.settings.auto_beta else self.settings.beta_dpo

    def watch(self, sums: list[float]) -> float | None:
        """How far the winners' errors are above the reference's, where the run looks at it."""
        if self.settings.stop_on_winner_error is None:
            return None
        self.winner_error.update(mean_of("error_w", sums), mean_of("ref_error_w", sums))
        return self.winner_error.growth

    def last_good(self) -> Path | None:
        """The checkpoint that a run ends with whose winners' errors have grown too far."""
        if not self.winner_error.is_over:
            return None
        kept = checkpoint_files.checkpoints(self.out)
        return next((c for c in reversed(kept) if checkpoint_files.step_of(c) <= self.done), None)

    def forward_backward(self, part: int) -> tuple[Tensor, list[str]]:
        """Adds the gradient of sum(L) of this process's pairs."""
        settings, accelerator = self.settings, self.accelerator
        ours = accelerator.process_index, accelerator.num_processes
        rows = self.source.measure(positions(self.done, part, *ours, settings), self.done)
        errors, mu = rows.errors, settings.safe_loser
        loss = self.loss(errors if mu is None else safe_loser(errors, mu), rows.weights, self.beta)
        loss = cap_margin(loss, settings.margin_cap)
        loss = add_terms(loss, errors, settings.winner_anchor, settings.sft_weight)
        self.stepper.backward(loss.losses.sum())
        steps = self.policy.backbone.num_train_timesteps
        return sum_metrics(loss, errors, rows.weights, rows.timesteps, steps), rows.keys

    def policy_saver(self) -> SavePolicy:
        """Writes what is meant to be used: the moving average where there is one."""
        return partial(self.policy.save, values=self.ema.current())

    def finish(self) -> None:
        """The policy at the top of the run folder, then the summary that says it is finished."""
        policy_of, main = self.done, self.accelerator.is_main_process
        kept = self.last_good()
        best = self.settings.keep_best
        if best and (self.winner_error.is_over or self.not_finite):  # maybe before the first look
            best = (self.out / checkpoint_files.BEST).is_dir()
        if not (kept or best):
            self.policy_saver()(self.out if main else None)
        if not main:
            return
        if best:
            policy_of = checkpoint_files.publish_best(self.out)
        elif kept:
            checkpoint_files.publish(self.out, kept)
            policy_of = checkpoint_files.step_of(kept)
        rows = read_rows(self.out / "log.jsonl")
        warnings = [str(finding) for finding in diagnose(rows, self.settings.model_dump())]
        if self.not_finite:
            warnings.append(not_finite.ended(self.not_finite, self.done + 1))
        seen = self.done * self.plan.pairs_per_step
        summary = RunSummary(
            out=str(self.folder.place),
            steps=self.done,
            pairs_seen=seen,
            epochs=round(seen / self.plan.dataset_pairs, 3),
            policy_of_step=policy_of,
            warnings=warnings,
            stopped=self.done < self.plan.end or self.winner_error.is_over,
            not_finite=self.not_finite,
            last=rows[-1] if rows else None,
        )
        self.write_card(summary)
        checkpoint_files.write_summary(self.out, summary)

    def write_card(self, summary: RunSummary) -> None:
        """No run is lost for want of words about it."""
        name = self.policy.backbone.name
        try:
            write_model_card(self.out, name, done=summary, place=self.folder.place)
        except (ValueError, OSError) as error:
            say(f"warning: the card was not written ({reason_of(error)})")


def read(values: Tensor) -> list[float]:
    """What the device says, waited for: the only place of a step that does."""
    found: list[float] = values.tolist()
    return found

"""The training loop, one for every objective and backbone.

A step is a function of (weights, optimizer, step number): the pairs, timesteps and noise come from
`--seed` and the position in the stream. So a run that was stopped anywhere and started again with
the same command ends with the same weights.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers.optimization import get_scheduler
from torch import Tensor
from tqdm import tqdm

from sipo.backbones.base import Backbone
from sipo.common.files.locks import only_writer
from sipo.train import checkpoints
from sipo.train.build import (
    behaviour_of,
    make_accelerator,
    open_backbone,
    open_data,
    open_source,
    open_validation,
)
from sipo.train.data.pair_batches import Data, positions
from sipo.train.distributed.accelerate_env import as_launched
from sipo.train.distributed.fsdp import whole
from sipo.train.distributed.stepper import Stepper
from sipo.train.ema import Ema
from sipo.train.monitor.health import COLLAPSE, Health, diagnose
from sipo.train.monitor.log_rows import read_rows
from sipo.train.monitor.metrics import Log, row_of, tally
from sipo.train.objective.losses import OBJECTIVES, add_terms
from sipo.train.optimizer import make_optimizer
from sipo.train.policy import Policy
from sipo.train.run_length import RunLength, make_plan
from sipo.train.settings import TrainSettings
from sipo.train.stopping import Stopping


def train(
    settings: TrainSettings,
    backbone: Backbone | None = None,
    dataset: Data | None = None,
    stopping: Stopping | None = None,
) -> dict[str, Any]:
    """Train, or go on, or find that all is done; returns what `summary.json` holds.

    `backbone` must be the base model as `load_backbone` gives it; its denoiser is trained in place.
    Raises ValueError for settings that cannot be met, FloatingPointError when the loss is no
    longer finite, and KeyboardInterrupt, with what was kept, when the process was asked to stop.
    """
    settings = as_launched(settings)
    data = open_data(settings) if dataset is None else dataset
    backbone = open_backbone(settings, data) if backbone is None else backbone
    accelerator = make_accelerator(settings)
    plan = make_plan(settings, len(data), accelerator.num_processes)
    settings.timestep_range(backbone.num_train_timesteps)
    out = Path(settings.out)
    facts = {
        "data": data.fingerprint(),
        "backbone_weights": backbone.weights_sha256(),
        "steps": plan.steps,
        "pairs_per_step": plan.pairs_per_step,
    }
    alone = only_writer(out, "sipo-train") if accelerator.is_main_process else nullcontext()
    with alone:
        if accelerator.is_main_process:
            checkpoints.open_run(out, settings, facts)
        accelerator.wait_for_everyone()
        resume = checkpoints.checkpoint_to_resume(out, settings)
        if resume and checkpoints.is_finished(out, resume, plan.steps, settings.stop_on_collapse):
            accelerator.print(f"{out} is finished ({resume.name}); nothing to do")
            return checkpoints.summary(out)
        policy = Policy(backbone, settings, behaviour_of(settings, data, backbone))
        trainer = Trainer(settings, plan, accelerator, policy, data)
        if resume:
            trainer.load(resume)
        return trainer.run(stopping or Stopping())


class Trainer:
    """Everything that changes during a run, and the steps that change it."""

    def __init__(
        self, settings: TrainSettings, plan: RunLength, accelerator: Any, policy: Policy, data: Data
    ) -> None:
        self.settings, self.plan, self.accelerator = settings, plan, accelerator
        self.policy, self.backbone = policy, policy.backbone
        self.out, self.done = Path(settings.out), 0
        self.sums = torch.zeros(())  # of `tally`, over the steps since the last row of the log
        self.saved_at = time.monotonic()
        policy.prepare(accelerator)
        self.source = open_source(settings, policy, data)
        self.validation = open_validation(settings, policy, data)
        self.trainable = policy.trainable()
        optimizer = make_optimizer(settings, self.trainable.values())
        self.stepper = Stepper(accelerator, settings, policy, optimizer)
        # Not prepared: it is stepped once an optimizer step, whatever the number of processes.
        self.scheduler = get_scheduler(
            settings.lr_scheduler,
            optimizer,
            num_warmup_steps=settings.lr_warmup_steps,
            num_training_steps=plan.steps,
        )
        self.ema = Ema(self.trainable, settings.ema_decay)
        self.parts: dict[str, Any] = {"policy": policy, "optimizer": self.stepper, "ema": self.ema}
        self.parts["scheduler"] = self.scheduler
        cache = getattr(self.source, "cache", None)
        if cache is not None:
            self.parts["reference_errors"] = cache
        if accelerator.scaler is not None:
            self.parts["scaler"] = accelerator.scaler

    def run(self, stopping: Stopping) -> dict[str, Any]:
        """The loop. A row of the log is the mean since the last one; checkpoints by steps end a
        row, those by time and by signals do not: no row depends on the clock.
        """
        settings, plan = self.settings, self.plan
        main = self.accelerator.is_main_process
        stopping.again_at_once = self.accelerator.num_processes == 1
        log = Log(self.out, self.done, settings.report_to) if main else None
        health = Health(settings=settings.model_dump())
        for earlier in log.rows() if log else ():
            health.look(earlier)
        if settings.keep_best and health.best:
            checkpoints.best_step(self.out)
        bar = tqdm(total=plan.pairs, unit="pairs", desc=self.out.name, disable=not main)
        bar.update(self.done * plan.pairs_per_step)
        began, began_at, stop = time.monotonic(), self.done, False
        [ended] = self.agreed(settings.stop_on_collapse and COLLAPSE in health.standing)
        with stopping:
            while not (ended or stop or self.done == plan.steps):
                lr = self.scheduler.get_last_lr()[0]
                step_sums, grad_norm = self.step()
                self.sums = self.sums + step_sums
                checkpoint = (
                    self.done % settings.checkpointing_steps == 0 or self.done == plan.steps
                )
                validate = self.validation_is_due()
                bar.update(plan.pairs_per_step)
                if log and (checkpoint or validate or self.done % settings.logging_steps == 0):
                    pairs = (self.done - began_at) * plan.pairs_per_step
                    row = self.row(lr, grad_norm, validate)
                    for warning in health.look(row):
                        row.setdefault("warnings", []).append(warning)
                        bar.write(f"warning at step {self.done}: {warning}", file=sys.stderr)
                    if settings.keep_best and health.best is row:
                        checkpoints.keep_best(self.out, self.done, self.policy_saver())
                    log.write(row | {"pairs_per_s": round(pairs / (time.monotonic() - began), 2)})
                    bar.set_postfix({k: f"{row[k]:.3f}" for k in ("loss", "psi_w", "psi_l")})
                    began, began_at = time.monotonic(), self.done
                stop, late, ended = self.agreed(
                    stopping.asked,
                    main and self.checkpoint_is_late(),
                    settings.stop_on_collapse and COLLAPSE in health.standing,
                )
                if checkpoint or ended or stop or late:
                    self.save(between=not (checkpoint or ended))
                self.accelerator.wait_for_everyone()
        bar.close()
        if log:
            log.close()
        if stop and not (ended or self.done == plan.steps):
            raise stopping.interrupt(self.stopped())
        self.finish()
        self.accelerator.wait_for_everyone()
        return checkpoints.summary(self.out)

    def row(self, lr: float, grad_norm: float, validate: bool) -> dict[str, Any]:
        """Of the log: means since the last one, and what the images look like where it is due."""
        row = {"step": self.done, "pairs_seen": self.done * self.plan.pairs_per_step, "lr": lr}
        row |= row_of(self.sums, self.settings.beta_dpo) | {"grad_norm": grad_norm}
        self.sums = torch.zeros(())
        return row | ({"validation": self.look()} if validate else {})

    def agreed(self, *said: bool) -> list[bool]:
        """What any process says, on all of them: they must do alike."""
        if self.accelerator.num_processes == 1:
            return list(said)
        votes = torch.tensor([float(yes) for yes in said], device=self.accelerator.device)
        return [bool(count > 0) for count in self.accelerator.reduce(votes).tolist()]

    def checkpoint_is_late(self) -> bool:
        minutes = self.settings.checkpointing_minutes
        return bool(minutes) and time.monotonic() - self.saved_at >= 60 * minutes

    def stopped(self) -> str:
        """The last word of a run that was asked to stop."""
        kept, again = self.out / f"checkpoint-{self.done}", "the same command again"
        if self.settings.resume_from_checkpoint != "latest":
            again = f"the same command with --resume_from_checkpoint {kept}"
        return f"stopped at step {self.done} of {self.plan.steps}; kept {kept}; {again} goes on"

    def validation_is_due(self) -> bool:
        """After each --validation_pairs pairs, and at the end."""
        every, seen = self.settings.validation_pairs, self.done * self.plan.pairs_per_step
        if not every:
            return False
        return seen // every > (seen - self.plan.pairs_per_step) // every or seen == self.plan.pairs

    def look(self) -> dict[str, Any]:
        assert self.validation is not None
        with self.ema.in_place():
            return self.validation.look(self.done)

    def step(self) -> tuple[Tensor, float]:
        """One optimizer step; the sums of `tally` over all processes, and the gradient norm."""
        settings, accelerator = self.settings, self.accelerator
        local = torch.zeros((), device=accelerator.device)
        keys: list[str] = []
        for part in range(settings.gradient_accumulation_steps):
            last = part + 1 == settings.gradient_accumulation_steps
            with self.stepper.part(last):
                part_sums, part_keys = self.forward_backward(part)
            local, keys = local + part_sums, keys + part_keys
        sums: Tensor = accelerator.reduce(local)
        if not sums[0].isfinite():
            raise FloatingPointError(self.not_finite(keys))
        grad_norm = self.stepper.step(kept=float(sums[1]))
        if not (grad_norm.isfinite() or accelerator.scaler):
            raise FloatingPointError(self.not_finite(keys))
        self.scheduler.step()
        self.ema.update()
        self.done += 1
        return sums.double().cpu(), float(grad_norm)

    def forward_backward(self, part: int) -> tuple[Tensor, list[str]]:
        """Adds the gradient of sum(L) of this process's pairs."""
        settings, accelerator = self.settings, self.accelerator
        ours = accelerator.process_index, accelerator.num_processes
        rows = self.source.measure(positions(self.done, part, *ours, settings), self.done)
        loss = OBJECTIVES[settings.objective](rows.errors, rows.weights, settings.beta_dpo)
        loss = add_terms(loss, rows.errors, settings.winner_anchor, settings.sft_weight)
        self.stepper.backward(loss.losses.sum())
        steps = self.backbone.num_train_timesteps
        return tally(loss, rows.errors, rows.weights, rows.timesteps, steps), rows.keys

    def save(self, between: bool) -> None:
        """All processes gather what they share, the main one writes."""
        state = whole({name: part.state_dict() for name, part in self.parts.items()})
        state |= {"step": self.done, "row_sums": self.sums}
        saver = self.policy_saver()
        if self.accelerator.is_main_process:
            limit = self.settings.checkpoints_total_limit
            checkpoints.new_checkpoint(self.out, state, saver, limit, between)
        self.saved_at = time.monotonic()

    def policy_saver(self) -> Callable[[Path], None]:
        """Writes what is meant to be used: the moving average where there is one."""
        with self.ema.in_place():
            weights = {name: value.clone() for name, value in self.policy.weights().items()}

        def write(folder: Path) -> None:
            with self.ema.in_place():
                self.policy.save(folder, weights)

        return write

    def load(self, checkpoint: Path) -> None:
        state = checkpoints.load_state(checkpoint)
        self.done = state["step"]
        self.sums = state.get("row_sums", self.sums)  # older ones always ended a row
        for name, part in self.parts.items():
            if name not in state:
                raise ValueError(
                    f"checkpoint {str(checkpoint)!r} has no {name}; give another --out"
                )
            part.load_state_dict(state[name])

    def finish(self) -> None:
        """The policy at the top of the run folder, then the summary that says it is finished."""
        save_policy, policy_of = self.policy_saver(), self.done
        if not self.accelerator.is_main_process:
            return
        if self.settings.keep_best:
            policy_of = checkpoints.publish_best(self.out)
        else:
            save_policy(self.out)
        rows = read_rows(self.out / "log.jsonl")
        seen = self.done * self.plan.pairs_per_step
        done = {"out": str(self.out), "steps": self.done, "pairs_seen": seen}
        done |= {"epochs": round(seen / self.plan.dataset_pairs, 3), "policy_of_step": policy_of}
        found = diagnose(rows, self.settings.model_dump())
        done |= {"warnings": [str(finding) for finding in found]}
        done |= {"stopped": self.done < self.plan.steps, "last": rows[-1] if rows else {}}
        checkpoints.write_summary(self.out, done)

    def not_finite(self, keys: list[str]) -> str:
        good = next(reversed(checkpoints.checkpoints(self.out)), None)
        names = ", ".join(dict.fromkeys(keys))
        return (
            f"the loss is not finite at step {self.done + 1} (pairs {names}); the last good "
            f"checkpoint is {good or 'none'}. Lower --learning_rate or --beta_dpo "
            "and start again from it with --init_weights and another --out"
        )

"""Every setting of a training run, once: the command line and the YAML file come from here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError, field_validator, model_validator

from sipo.backbones import settings as model
from sipo.common.errors import sentence_of
from sipo.common.settings import OUT, StrictModel, other_names, setting
from sipo.feedback.registry import JUDGES
from sipo.train.monitor.report_to import ALL, NOBODY, TRACKERS, names_of
from sipo.train.objective.registry import (
    NO_MARGIN_OBJECTIVES,
    OBJECTIVE_NAMES,
    ObjectiveName,
    find_objective,
)

if TYPE_CHECKING:
    from sipo.common.files.yaml_files import YamlMap

FREE_TO_CHANGE = frozenset(
    {"data", "backbone", "out", "max_train_steps", "pairs_seen", "num_train_epochs"}
    | {"train_batch_size", "gradient_accumulation_steps"}
    | {"stop_on_collapse", "stop_on_winner_error", "stop_on_nan"}
    | {"checkpointing_steps", "checkpointing_minutes", "checkpoints_total_limit"}
    | {"resume_from_checkpoint"}
    | {"logging_steps", "report_to", "tracker_project_name", "shard_weights", "workers"}
    | {"push_to_hub", "hub_model_id", "hub_private", "hub_datasets"}
)
"""May differ when a run goes on: they change no weight. (Data and backbone are compared by their
hashes, batches by the pairs of a step over all processes, the number of steps wherever the
learning rate depends on it.)"""
BETAS = {"diffusion-dpo": 5000.0, "flow-dpo": 5000.0, "diffusion-sdpo": 5000.0}
BETAS |= {"mapo": 0.1, "d3po": 0.1, "nft": 1.0}
"""Their papers' beta, where it is not 1000, in beta_dpo units (MaPO's weighs the ratio's term,
NFT's mixes policy and reference)."""
NO_CAP = dict.fromkeys(NO_MARGIN_OBJECTIVES, "its z is no margin that the loss widens")
NO_CAP |= dict.fromkeys(("diffusion-kto", "nft"), "it has no pairs")
NO_CAP["ipo"] = "it has a margin of its own, 1/2"
"""Objectives that --margin_cap and --auto_beta are not for, and why."""
NO_LOSER = dict.fromkeys(("sft", "d3po"), "its loss has no loser's error")
NO_LOSER |= dict.fromkeys(("diffusion-kto", "nft"), "it has no pairs")
NO_LOSER["diffusion-sdpo"] = "it does so already, by 0.9; say diffusion-dpo to choose"
"""Objectives that --safe_loser is not for, and why."""


_loss, _step, _d3po, _validation, _weights, _machine, _output, _hub = (
    partial(setting, group)
    for group in (
        *("Objective", "Optimization", "D3PO", "Validation", "Model", "Machine", "Output"),
        "Hub",
    )
)
OBJECTIVE = partial(
    _loss,
    "Preference objective; diffusion-dpo is what others publish, sft the baseline of all.",
    choices=OBJECTIVE_NAMES,
    parts="sipo.objectives",
    also="loss_type",
)
BETA_DPO = partial(
    _loss,
    "Strength of the reference, in the unit of public code.",
    also="beta",
    without="1000; 5000 for diffusion-dpo, flow-dpo, diffusion-sdpo; 0.1 for mapo, d3po; 1 for nft",
    gt=0,
)
MAX_TRAIN_STEPS = partial(
    _step, "Length in optimizer steps.", also="max_steps num_train_steps", ge=1
)
TRAIN_BATCH_SIZE = partial(
    _step,
    "Pairs per device and forward pass.",
    also="batch_size bs per_device_train_batch_size",
    ge=1,
)
LEARNING_RATE = partial(
    _step, "Learning rate of AdamW.", also="lr", without="1e-4; 1e-5 with --full", gt=0
)
RANK = partial(_weights, "Rank of the LoRA matrices.", also="lora_rank lora_r", ge=1)


class TrainSettings(StrictModel):
    """In the order of `settings.yaml`."""

    data: list[str] = setting(
        "Data",
        "Folder of shards; it must be given, and may be given again. FOLDER:0,3 are two of its "
        "shards.",
        [],
        metavar="SHARDS",
        url=True,
        also="train_data_dir data_dir",
    )
    steps_per_folder: int | None = setting(
        "Data",
        "Steps for each folder in turn; named shards (FOLDER:0,3) go with every one.",
        None,
        without="all are mixed",
        ge=1,
    )
    out: str = OUT("", metavar="PATH", without="runs/OBJECTIVE", url=True)
    backbone: str = model.BACKBONE("", without="what the shards say")
    objective: ObjectiveName = OBJECTIVE("sipo")
    max_train_steps: int | None = MAX_TRAIN_STEPS(None)
    pairs_seen: int | None = _step("Length in pairs instead of steps.", None, ge=1)
    num_train_epochs: float = _step(
        "Length in epochs, if no steps or pairs are given.", 5, also="epochs num_epochs", gt=0
    )
    train_batch_size: int = TRAIN_BATCH_SIZE(16)
    gradient_accumulation_steps: int = _step(
        "Forward passes per optimizer step.", 1, also="grad_accum", ge=1
    )
    timesteps_per_pair: int = _loss("Draws of (timestep, noise) per pair.", 1, ge=1)
    reference_draws: int | None = _loss(
        "Draws a pair keeps, whose reference errors are cached.",
        None,
        without="a new draw each time",
        ge=1,
    )
    seed: int = _step("Seed of pair order, timesteps, noise and LoRA.", 0, ge=0, lt=2**63)

    beta_dpo: float = BETA_DPO(1000.0)
    eps_clip: float = _loss("Importance weights are clipped to 1 -+ this.", 0.1, gt=0, lt=1)
    mask: bool = _loss("Leave out pairs whose weight is below 1 - eps_clip.", True)
    num_chain_steps: int = _loss("Steps of the chain that defines w(t).", 50, ge=1)
    chain_variance: Literal["posterior", "fixed_large"] = _loss(
        "Variance of the chain that defines w(t).", "posterior"
    )
    denominator: Literal["q", "ref", "behaviour"] = _loss(
        "Denominator of w(t); behaviour is who sampled the pairs.", "q"
    )
    pair_weight: Literal["geometric", "min", "winner", "per_branch"] = _loss(
        "How winner's and loser's weights become one.", "geometric"
    )
    ratio_scale: float = _loss(
        "Scales log w by D^this: 0 is a mean over D, 1 a sum.", 0.0, ge=0, le=1
    )
    winner_anchor: float = _loss("Adds this * relu(-psi_w) to the loss.", 0.0, ge=0)
    sft_weight: float = _loss("Adds this * the winner's error to the loss.", 0.0, ge=0)
    nft_weighting: Literal["adaptive", "none"] = _loss(
        "Weight of nft's errors; adaptive divides that of x0 by its size.", "adaptive"
    )
    margin_cap: float | None = _loss(
        "Pairs whose margin z is above this have no gradient.", None, without="no cap", gt=0
    )
    safe_loser: float | None = _loss(
        "Scales losers' gradients so that winners' errors fall, by this share at least.",
        None,
        without="not scaled",
        ge=0,
        le=1,
    )
    auto_beta: bool = _loss("Adjust beta_dpo so that the mean |z| stays in 0.25 to 1.", False)
    train_timesteps: str = _loss(
        "Timesteps to train, HIGH excluded.", "", metavar="LOW:HIGH", without="all"
    )
    timestep_distribution: Literal["uniform", "logit-normal"] = _loss(
        "Distribution that timesteps are drawn from.", "uniform"
    )
    proportion_empty_prompts: float = _loss(
        "Share of pairs with the empty prompt.", 0.0, ge=0, le=1
    )

    d3po_prompts: int = _d3po("Prompts that d3po samples for a block of steps.", 8, ge=1)
    d3po_candidates: int = _d3po("Trajectories of each prompt of d3po.", 4, ge=2)
    d3po_steps: int = _d3po("Denoising steps of a trajectory of d3po.", 20, ge=2)
    d3po_eta: float | None = _d3po(
        "Noise of a step of d3po's sampler; at 0 it would have none.",
        None,
        without="0.7 for flow models (Flow-GRPO's), else 1",
        gt=0,
        le=1,
    )
    d3po_block: int = _d3po("Optimizer steps on what d3po has sampled.", 10, ge=1)
    judge: str = _d3po("Judge of objective d3po.", "yolo-world", choices=JUDGES)
    judge_weights: str = _d3po("Weights of the judge of d3po.", "", metavar="PATH")

    validation_pairs: int | None = _validation(
        "Pairs between validations.", None, without="no validation", ge=1
    )
    validation_prompts: str = _validation(
        "File of prompts to validate on.", "", metavar="FILE", without="48 of the data's own"
    )
    num_validation_images: int = _validation("Images of each validation prompt.", 2, ge=1)
    validation_judge: str = _validation(
        "Judge of validation; better none that chose winners.", "mini-evaluator", choices=JUDGES
    )
    validation_judge_weights: str = _validation(
        "Weights of the judge of validation.", "", metavar="PATH"
    )
    stop_on_collapse: bool = _validation(
        "End when validation falls below its best by its 95 % interval.", False
    )
    keep_best: bool = _validation("End with the policy that did best in validation.", False)
    stop_on_winner_error: float | None = _validation(
        "End when winners' errors are above the reference's by more than this share.",
        None,
        without="not looked at",
        gt=0,
    )
    stop_on_nan: bool = _validation(
        "End with the weights before a loss that is not finite, instead of with an error.", False
    )

    full: bool = _weights("Train all weights; a frozen copy is the reference.", False)
    expert: Literal["high", "low"] | None = _weights(
        "Denoiser to train of a model that has two: for high noise, or for low.",
        None,
        without="the only one",
    )
    rank: int = RANK(16)
    lora_alpha: int | None = _weights(
        "Scale of the LoRA times rank.", None, without="the rank", gt=0
    )
    lora_targets: str = _weights(
        "Modules that get a LoRA, with commas, or all.",
        "",
        also="lora_target_modules target_modules lora_layers",
        without="the backbone's attention",
    )
    init_weights: str = _weights("Run or LoRA file to start from.", "", metavar="PATH", url=True)
    reference: Literal["base", "init", "moving"] = _loss(
        "Model that rewards are measured against, init: --init_weights, moving: policy's average.",
        "base",
    )
    reference_decay: float = _loss(
        "Decay, at each optimizer step, of the reference 'moving'.", 0.99, gt=0, lt=1
    )

    learning_rate: float = LEARNING_RATE(1e-4)
    lr_scheduler: Literal["constant", "constant_with_warmup", "cosine", "linear"] = _step(
        "Schedule of the learning rate.", "constant_with_warmup", also="lr_scheduler_type"
    )
    lr_warmup_steps: int = _step("Steps of rising learning rate.", 0, also="warmup_steps", ge=0)
    weight_decay: float = _step("Weight decay of AdamW.", 1e-2, also="adam_weight_decay", ge=0)
    use_8bit_adam: bool = _step("Keep AdamW's moments in 8 bits (bitsandbytes).", False)
    max_grad_norm: float = _step("Norm gradients are clipped to.", 1.0, gt=0)
    ema_decay: float | None = _step(
        "Decay of a moving average that is saved instead.", None, without="none is kept", gt=0, lt=1
    )
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = _machine(
        "Number format of autocast; auto: bf16 on a card that has it, else no.", "auto"
    )
    quantize: model.Quantize = _machine(
        "Bits of the frozen base: nf4 by bitsandbytes, int8 by torchao.", "no"
    )
    shard_weights: bool = _machine("Divide weights among several processes (FSDP2).", False)
    workers: int = _machine("Processes on a CPU, one thread each, that share every batch.", 1, ge=1)
    gradient_checkpointing: bool = _machine("Use less memory, and a third more time.", False)

    checkpointing_steps: int = _output("Steps between checkpoints.", 500, also="save_steps", ge=1)
    checkpointing_minutes: float = _output(
        "Minutes between checkpoints at most; 0 is never.", 10.0, ge=0
    )
    checkpoints_total_limit: int | None = _output(
        "Checkpoints to keep.", None, also="save_total_limit", without="all", ge=1
    )
    resume_from_checkpoint: str = _output(
        "Checkpoint of the run to go on from.", "latest", metavar="FOLDER"
    )
    logging_steps: int = _output("Steps in a row of log.jsonl.", 1, ge=1)
    report_to: str = _output(
        "Trackers to tell beside log.jsonl, with commas; all: those installed.",
        "tensorboard",
        choices=(*TRACKERS, ALL, NOBODY),
        also="log_with",
        several=True,
    )
    push_to_hub: bool = _hub(
        "Push the policy with its card at the end, and its repository before.", False
    )
    hub_model_id: str = _hub(
        "Repository to push to.", "", metavar="OWNER/NAME", without="the run folder's name"
    )
    hub_private: bool = _hub("Make the repository private.", False, also="hub_private_repo")
    hub_datasets: list[str] = _hub(
        "Hub id of the data, for the card; may be given again.", [], metavar="OWNER/NAME"
    )
    tracker_project_name: str = _output(
        "Project of W&B and Trackio.", "sipo", also="tracker_project wandb_project"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_that_depend(cls, given: Mapping[str, object]) -> dict[str, object]:
        """The paper's beta per method in beta_dpo units, its learning rate for whole models."""
        values = dict(given)
        if beta := BETAS.get(str(values.get("objective"))):
            values.setdefault("beta_dpo", beta)
        if str(values.get("full", False)).lower() in ("true", "1", "yes", "on", "y", "t"):
            values.setdefault("learning_rate", 1e-5)
        values["out"] = values.get("out") or f"runs/{values.get('objective', 'sipo')}"
        return values

    @field_validator("data", mode="before")
    @classmethod
    def _one_folder_is_a_list(cls, data: object) -> object:
        return [data] if isinstance(data, str) else data

    @field_validator("report_to", mode="before")
    @classmethod
    def _several_are_a_text(cls, names: object) -> object:
        return ",".join(map(str, names)) if isinstance(names, list) else names

    @field_validator("report_to")
    @classmethod
    def _known_trackers(cls, text: str) -> str:
        names_of(text)
        return text

    @field_validator("train_timesteps")
    @classmethod
    def _low_below_high(cls, text: str) -> str:
        low, _, high = text.partition(":")
        if text and not (low.isdigit() and high.isdigit() and int(low) < int(high)):
            raise ValueError("must be LOW:HIGH with LOW < HIGH, for example 64:1000")
        return text

    @model_validator(mode="after")
    def _one_length(self) -> TrainSettings:
        if self.max_train_steps and self.pairs_seen:
            raise ValueError("--max_train_steps and --pairs_seen both set the length; give one")
        for name in ("stop_on_collapse", "keep_best"):
            if getattr(self, name) and not self.validation_pairs:
                raise ValueError(
                    f"--{name} acts on validation; say how often: --validation_pairs N"
                )
        if self.shard_weights and (self.validation_pairs or self.objective == "d3po"):
            raise ValueError(
                "--shard_weights divides the model, and --validation_pairs and d3po sample with a "
                "whole one; leave one of the two out"
            )
        if self.quantize != "no" and (self.full or self.shard_weights):
            other = "--full trains" if self.full else "--shard_weights divides"
            raise ValueError(
                f"--quantize {self.quantize!r} is for a frozen base that each process holds, and "
                f"{other} it; leave one of the two out"
            )
        if self.use_8bit_adam and self.shard_weights:
            raise ValueError(
                "--use_8bit_adam keeps whole moments, and --shard_weights divides them; leave one "
                "of the two out"
            )
        if self.reference_draws and find_objective(self.objective).data == "candidates":
            raise ValueError(
                f"--reference_draws keeps the reference's errors, and {self.objective} needs its "
                "predictions; leave it out"
            )
        if self.reference == "init" and not self.init_weights:
            raise ValueError("--reference 'init' needs --init_weights, a run folder to start from")
        return self

    @model_validator(mode="after")
    def _folders_that_come_later(self) -> TrainSettings:
        if self.steps_per_folder and not (self.max_train_steps or self.pairs_seen):
            raise ValueError(
                "--steps_per_folder is for data of which more may come, so the length of the run "
                "is not theirs; give --max_train_steps"
            )
        if self.steps_per_folder and self.reference_draws:
            raise ValueError(
                "--reference_draws keeps errors of pairs that are all known, and with "
                "--steps_per_folder (a loop's --refresh) more may come; leave one of the two out"
            )
        if self.steps_per_folder and find_objective(self.objective).data == "rollouts":
            raise ValueError(
                f"--steps_per_folder (a loop's --refresh) is for shards that are learnt from, and "
                f"{self.objective} samples itself; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _what_stands_still(self) -> TrainSettings:
        """The reference must, where its errors are kept or its weights divided."""
        for name in ("reference_draws", "shard_weights"):
            if self.reference == "moving" and getattr(self, name):
                raise ValueError(
                    f"--reference 'moving' changes at every step, and --{name} needs one that "
                    "stands still; leave one of the two out"
                )
        return self

    @model_validator(mode="after")
    def _options_of_objectives(self) -> TrainSettings:
        """Refuses those that mean nothing for this objective."""
        for option, given, unfit in (
            ("margin_cap", self.margin_cap is not None, NO_CAP),
            ("auto_beta", self.auto_beta, NO_CAP),
            ("safe_loser", self.safe_loser is not None, NO_LOSER),
        ):
            if given and (why := unfit.get(self.objective)):
                raise ValueError(f"--{option} is not for --objective {self.objective!r}: {why}")
        if self.stop_on_winner_error is not None and not self._measures_winners():
            raise ValueError(
                "--stop_on_winner_error compares errors with the reference's, which --objective "
                f"{self.objective!r} does not measure; leave one of the two out"
            )
        return self

    def _measures_winners(self) -> bool:
        """Against a reference, by errors."""
        objective = find_objective(self.objective)
        return objective.data in ("pairs", "verdicts") and keeps_reference(self)

    @property
    def alpha(self) -> int:
        return self.lora_alpha or self.rank


def keeps_reference(settings: TrainSettings) -> bool:
    """Whether the objective, or an option of the run, needs the model that rewards are measured
    against.
    """
    asked = settings.denominator != "q" or settings.winner_anchor > 0
    return asked or find_objective(settings.objective).needs_reference


ALIASES = other_names(TrainSettings)


def make_settings(given: Mapping[str, object]) -> TrainSettings:
    """Settings from plain values; aliases are understood, '-' is '_', None is not given.

    Raises ValueError that names the setting, its value and what would be right.
    """
    values: dict[str, object] = {}
    for key, value in given.items():
        name = setting_name(key)
        if name not in TrainSettings.model_fields:
            near = difflib.get_close_matches(name, [*TrainSettings.model_fields, *ALIASES], 1, 0.4)
            hint = f"did you mean {near[0]!r}?" if near else "see sipo-train --help"
            raise SettingError(key, f"unknown setting {key!r}; {hint}")
        if value is not None:
            values[name] = value
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if not first["loc"]:
            raise ValueError(sentence_of(error)) from None
        raise SettingError(str(first["loc"][0]), sentence_of(error, "_")) from None


class SettingError(ValueError):
    """A value or a name that is wrong; `name` is the setting's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def setting_name(key: str) -> str:
    """Ours for a name as people write it."""
    name = key.replace("-", "_")
    return ALIASES.get(name, name)


def read_yaml(path: Path) -> YamlMap:
    """A YAML file of settings, as `settings.yaml` of a run folder, by our names.

    Raises ValueError that says the file and, where it can, the line.
    """
    from sipo.common.files import yaml_files

    try:
        content = yaml_files.read_yaml(path, "settings file")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(
            f"settings file {str(path)!r} cannot be read: {reason}; give a YAML file"
        ) from None
    if not isinstance(content, yaml_files.YamlMap):
        raise ValueError(f"settings file {str(path)!r} must hold 'name: value' lines")
    return content.renamed(setting_name)

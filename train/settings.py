"""Every setting of a training run, once: the command line and the YAML file come from here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from sipo.common.settings import Seed, StrictModel
from sipo.train.objective.registry import OBJECTIVE_NAMES, ObjectiveName

if TYPE_CHECKING:
    from sipo.common.files.yaml_files import YamlMap

ALIASES = {
    "pretrained_model_name_or_path": "backbone",
    "output_dir": "out",
    "beta": "beta_dpo",
}
"""Other names people type (those of diffusers' scripts) -> ours."""

FREE_TO_CHANGE = frozenset(
    {"data", "backbone", "out", "max_train_steps", "pairs_seen", "num_train_epochs"}
    | {"train_batch_size", "gradient_accumulation_steps", "stop_on_collapse"}
    | {"checkpointing_steps", "checkpointing_minutes", "checkpoints_total_limit"}
    | {"resume_from_checkpoint"}
    | {"logging_steps", "report_to", "shard_weights", "workers"}
)
"""May differ when a run goes on: they change no weight. (Data and backbone are compared by their
hashes, batches by the pairs of a step over all processes, the number of steps wherever the
learning rate depends on it.)"""
BETAS = {"diffusion-dpo": 5000.0, "flow-dpo": 5000.0, "diffusion-sdpo": 5000.0}
BETAS |= {"mapo": 0.1, "d3po": 0.1}
"""Their papers' beta, where it is not 1000, in beta_dpo units (MaPO's weighs the ratio's term)."""


class TrainSettings(StrictModel):
    """In the order of `sipo-train --help`."""

    data: list[str] = Field(
        default=[], description="Folder of shards; the option may be repeated. [required]"
    )
    out: str = Field("", description="The run's folder. [default: runs/OBJECTIVE]")
    backbone: str = Field(
        "", description="Embedded name, diffusers folder or hub id. [default: what the shards say]"
    )
    objective: ObjectiveName = Field(
        "sipo",
        description=f"The loss: {', '.join(OBJECTIVE_NAMES)}, or module:function of your own; "
        "docs/objectives.md compares them.",
    )
    max_train_steps: int | None = Field(None, ge=1, description="Optimizer steps.")
    pairs_seen: int | None = Field(None, ge=1, description="Length in pairs instead of steps.")
    num_train_epochs: float = Field(
        5, gt=0, description="Length in epochs, where neither steps nor pairs are given."
    )
    train_batch_size: int = Field(16, ge=1, description="Pairs per device and forward pass.")
    gradient_accumulation_steps: int = Field(1, ge=1, description="Forward passes per step.")
    timesteps_per_pair: int = Field(1, ge=1, description="Draws of (timestep, noise) per pair.")
    reference_draws: int | None = Field(
        None,
        ge=1,
        description="Draws a pair keeps, so that the reference's errors are computed once each. "
        "[default: a new draw each time]",
    )
    seed: Seed = Field(0, description="Of pair order, timesteps, noise and LoRA.")

    beta_dpo: float = Field(
        1000.0,
        gt=0,
        description="Strength of the reference, in the unit of public code. "
        "[default: 1000; 5000 for diffusion-dpo, flow-dpo and diffusion-sdpo; 0.1 for mapo, d3po]",
    )
    eps_clip: float = Field(0.1, gt=0, lt=1, description="Weights are clipped to 1 -+ this.")
    mask: bool = Field(True, description="Leave out pairs whose weight is below 1 - eps_clip.")
    num_chain_steps: int = Field(50, ge=1, description="Steps of the chain that defines w(t).")
    chain_variance: Literal["posterior", "fixed_large"] = Field(
        "posterior", description="Variance of that chain's kernels."
    )
    denominator: Literal["q", "ref", "behaviour"] = Field(
        "q", description="What w(t) is a ratio to; behaviour: the policy that sampled the pairs."
    )
    pair_weight: Literal["geometric", "min", "winner", "per_branch"] = Field(
        "geometric", description="One weight from winner's and loser's."
    )
    ratio_scale: float = Field(
        0.0, ge=0, le=1, description="log w times D^this: 0 averages over dimensions, 1 sums."
    )
    winner_anchor: float = Field(0.0, ge=0, description="Adds this * relu(-psi_w).")
    sft_weight: float = Field(0.0, ge=0, description="Adds this * the winner's error.")
    train_timesteps: str = Field("", description="LOW:HIGH, HIGH excluded. [default: all]")
    timestep_distribution: Literal["uniform", "logit-normal"] = Field(
        "uniform", description="Within that range."
    )
    proportion_empty_prompts: float = Field(
        0.0, ge=0, le=1, description="Share of pairs trained with the empty prompt."
    )

    d3po_prompts: int = Field(8, ge=1, description="Prompts sampled for a block of steps.")
    d3po_candidates: int = Field(4, ge=2, description="Trajectories of each.")
    d3po_steps: int = Field(20, ge=2, description="Denoising steps of a trajectory.")
    d3po_block: int = Field(10, ge=1, description="Optimizer steps on what was sampled.")
    judge: str = Field("yolo-world", description="Of --objective d3po.")
    judge_weights: str = Field("", description="Instead of the embedded ones.")

    validation_pairs: int | None = Field(
        None, ge=1, description="Sample and judge a fixed set of prompts every so many pairs."
    )
    validation_prompts: str = Field(
        "", description="JSONL file of prompts. [default: 48 of the data's own]"
    )
    num_validation_images: int = Field(2, ge=1, description="Of each of these prompts.")
    validation_judge: str = Field(
        "mini-evaluator", description="Better not the judge that chose the winners."
    )
    validation_judge_weights: str = Field("", description="Instead of the embedded ones.")
    stop_on_collapse: bool = Field(
        False, description="End the run when validation falls below its best by its 95 % interval."
    )
    keep_best: bool = Field(False, description="End with the policy that did best in validation.")

    full: bool = Field(False, description="Train all weights; a frozen copy is the reference.")
    rank: int = Field(16, ge=1, description="Of the LoRA.")
    lora_alpha: int | None = Field(None, gt=0, description="[default: the rank]")
    lora_targets: str = Field(
        "", description="Module names, with commas, or 'all'. [default: the backbone's attention]"
    )
    init_weights: str = Field(
        "", description="Start from the policy of this run folder or LoRA file."
    )
    reference: Literal["base", "init"] = Field(
        "base", description="Rewards are measured against the base model or --init_weights."
    )

    learning_rate: float = Field(
        1e-4, gt=0, description="Of AdamW. [default: 1e-4; 1e-5 with --full]"
    )
    lr_scheduler: Literal["constant", "constant_with_warmup", "cosine", "linear"] = Field(
        "constant_with_warmup", description="Of the learning rate."
    )
    lr_warmup_steps: int = Field(0, ge=0, description="Steps.")
    weight_decay: float = Field(1e-2, ge=0, description="Of AdamW.")
    use_8bit_adam: bool = Field(False, description="AdamW's moments in 8 bits (bitsandbytes).")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="Save the moving average of the weights instead."
    )
    mixed_precision: Literal["no", "bf16", "fp16"] = Field("no", description="Autocast dtype.")
    quantize: Literal["no", "nf4", "int8"] = Field(
        "no", description="The frozen base under a LoRA: nf4 (bitsandbytes), int8 (torchao)."
    )
    shard_weights: bool = Field(
        False, description="Several processes divide weights and optimizer among them (FSDP2)."
    )
    workers: int = Field(
        1, ge=1, description="Processes on a CPU, one thread each, that share every batch."
    )
    gradient_checkpointing: bool = Field(False, description="Less memory, a third slower.")

    checkpointing_steps: int = Field(500, ge=1, description="Steps between checkpoints.")
    checkpointing_minutes: float = Field(
        10.0,
        ge=0,
        description="At most so long after the last; such a one makes room for the next. 0: never.",
    )
    checkpoints_total_limit: int | None = Field(None, ge=1, description="Keep the newest N.")
    resume_from_checkpoint: str = Field(
        "latest", description="'latest' or a checkpoint folder of this run."
    )
    logging_steps: int = Field(1, ge=1, description="Steps per row of log.jsonl.")
    report_to: Literal["tensorboard", "none"] = Field("tensorboard", description="Beside that.")

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
        if self.reference == "init" and not self.init_weights:
            raise ValueError("--reference 'init' needs --init_weights, a run folder to start from")
        return self

    @property
    def alpha(self) -> int:
        return self.lora_alpha or self.rank

    def timestep_range(self, num_train_timesteps: int) -> tuple[int, int]:
        low, _, high = (self.train_timesteps or f"0:{num_train_timesteps}").partition(":")
        if int(high) > num_train_timesteps:
            raise ValueError(
                f"--train_timesteps {self.train_timesteps!r} ends after the backbone's last "
                f"timestep; HIGH is at most {num_train_timesteps}"
            )
        return int(low), int(high)


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
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise ValueError(message) from None
        if first["type"] == "string_type" and isinstance(first["input"], int | float):
            message += "; put it in quotes"
        name = str(first["loc"][0])
        given_as = repr(first["input"])[:80]
        raise SettingError(name, f"--{name} {given_as}: {message}") from None


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

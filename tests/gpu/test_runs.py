"""The stages on the card, on the embedded world."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sampled_pairs import SampledPairs
from written_prompts import write_prompts

from sipo.backbones.base import LORA_FILE, Sampler
from sipo.backbones.registry import load_backbone
from sipo.feedback.prompts import grammar
from sipo.loop.rounds import loop
from sipo.loop.settings import LoopSettings
from sipo.train.build import make_accelerator
from sipo.train.policy import Policy
from sipo.train.run_length import make_plan
from sipo.train.settings import TrainSettings, make_settings
from sipo.train.stopping import Stopping
from sipo.train.trainer import Trainer, train

EMBEDDED = "mini-sd"
STEPS = 4


class AfterSteps:
    """Asks a run to stop when it has made so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def is_set(self) -> bool:
        self.left -= 1
        return self.left <= 0


@pytest.fixture(scope="module")
def pairs() -> SampledPairs:
    backbone = load_backbone(EMBEDDED)
    backbone.default_sampler = Sampler(steps=2, guidance=1.5)
    return SampledPairs(backbone, ["a photo of a cat", "a photo of a dog"])


def settings_of(out: Path, **given: object) -> TrainSettings:
    short = {"max_train_steps": STEPS, "train_batch_size": 2, "report_to": "none"}
    return make_settings(short | {"out": str(out)} | given)


def run(settings: TrainSettings, pairs: SampledPairs, stopping: Stopping | None = None) -> None:
    dtype = "bfloat16" if settings.mixed_precision == "bf16" else "float32"
    train(settings, load_backbone(EMBEDDED, denoiser_only=True, dtype=dtype), pairs, stopping)


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_stopped_run_ends_with_the_same_weights(
    tmp_path: Path, pairs: SampledPairs, precision: str, card: torch.device
) -> None:
    whole, parts = (
        settings_of(tmp_path / name, mixed_precision=precision) for name in ("whole", "parts")
    )
    run(whole, pairs)
    with pytest.raises(KeyboardInterrupt):
        run(parts, pairs, Stopping(AfterSteps(STEPS // 2)))
    run(parts, pairs)
    one, other = (load_file(Path(settings.out) / LORA_FILE) for settings in (whole, parts))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_step_waits_for_the_card_once(
    tmp_path: Path, pairs: SampledPairs, card: torch.device
) -> None:
    settings = settings_of(tmp_path, mixed_precision="bf16")
    accelerator, plan = make_accelerator(settings), make_plan(settings, len(pairs))
    backbone = load_backbone(EMBEDDED, denoiser_only=True, dtype="bfloat16")
    trainer = Trainer(settings, plan, accelerator, Policy(backbone, settings), pairs)
    trainer.step()
    if card.type == "cpu":
        pytest.skip("a CPU waits for nobody")
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            trainer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    said = [str(wait.message) for wait in waits if "synchroniz" in str(wait.message)]
    assert len(said) <= 1, said


def test_the_loop_goes_round(tmp_path: Path, card: torch.device) -> None:
    held_out = [grammar.single_object("cat"), grammar.colors("boat", "red")]
    write_prompts(held_out, tmp_path / "held-out.jsonl")
    rounds = loop(
        LoopSettings(
            eval_prompts=tmp_path / "held-out.jsonl",
            out=tmp_path / "loop",
            num_prompts=6,
            candidates=4,
            margin=0,
            max_train_steps=STEPS,
            train_batch_size=4,
            train=LoopSettings().train | {"report_to": "none", "workers": "1"},
        )
    ).rounds
    assert len(rounds) == 2

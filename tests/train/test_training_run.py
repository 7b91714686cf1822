"""Runs of a few steps on a tiny UNet: what they learn, leave behind, and go on from."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from alike import (
    Z_ROUNDING,
    assert_close_weights,
    assert_other_picture,
    assert_same_picture,
    is_reference,
    same_bits,
)
from diffusers import StableDiffusionPipeline
from diffusers.models.resnet import ResnetBlock2D
from memory_pairs import MemoryPairs, Run
from needs import needs
from PIL import Image
from safetensors.torch import load_file

from sipo.backbones.base import LORA_FILE
from sipo.backbones.registry import load_backbone
from sipo.train.build import base_dtype, make_accelerator
from sipo.train.data.pair_batches import PairStream, draw_batch, positions
from sipo.train.objective.losses import OBJECTIVES
from sipo.train.optimizer import make_optimizer
from sipo.train.policy import Policy
from sipo.train.settings import make_settings
from sipo.train.trainer import Trainer

FULL = "unet/diffusion_pytorch_model.safetensors"


def rows(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "pairs_per_s"} for line in lines]


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The process dies once `step` steps are done; nothing is tidied up."""
    whole = Trainer.step

    def dying(self: Trainer) -> Any:
        if self.done == step:
            raise KeyboardInterrupt
        return whole(self)

    monkeypatch.setattr(Trainer, "step", dying)


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ({"ema_decay": 0.5, "lr_scheduler": "cosine", "lora_targets": "to_q,conv1"}, LORA_FILE),
        ({"full": True, "mixed_precision": "bf16", "gradient_accumulation_steps": 2}, FULL),
        pytest.param(
            {"full": True, "use_8bit_adam": True, "gradient_checkpointing": True},
            FULL,
            marks=needs("bitsandbytes", "quantize"),
        ),
    ],
)
def test_resumed_run_ends_with_the_same_bits(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], file: str
) -> None:
    """Checkpoints at 2 and 4; stopped before step 4, so step 3 is done again."""
    run("whole", **given)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run("stopped", **given)
    assert len(rows(tmp_path / "stopped")) == 3
    run("stopped", **given)
    assert same_bits(tmp_path / "whole" / file, tmp_path / "stopped" / file)
    assert rows(tmp_path / "whole") == rows(tmp_path / "stopped")
    assert is_reference(rows(tmp_path / "whole")[0])  # also under autocast


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[1:3]
from memory_pairs import MemoryPairs
from sipo.backbones.registry import load_backbone
from sipo.train import checkpoint_files
from sipo.train.settings import make_settings
from sipo.train.trainer import train
replace = os.replace
def die_at_checkpoint_4(source, target):
    if str(target).endswith("checkpoint-4"):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = die_at_checkpoint_4
settings = make_settings(dict(out=sys.argv[4], max_train_steps=4, train_batch_size=2, rank=2,
                              checkpointing_steps=2, report_to="none"))
train(settings, load_backbone(sys.argv[3], denoiser_only=True), MemoryPairs(5))
"""


def test_killed_while_writing_a_checkpoint(run: Run, tmp_path: Path, tiny_folder: Path) -> None:
    here = Path(__file__).parent
    arguments = [str(here), str(here.parent), str(tiny_folder), str(tmp_path / "killed")]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True
    )
    assert killed.returncode == -9, killed.stderr
    names = {path.name for path in (tmp_path / "killed").glob("checkpoint-*")}
    assert names == {"checkpoint-2"}
    run("killed")
    run("whole")
    assert same_bits(tmp_path / "killed" / LORA_FILE, tmp_path / "whole" / LORA_FILE)


def test_finished_run_does_nothing_and_a_longer_one_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("short", max_train_steps=2)
    with monkeypatch.context() as patch:
        stop_after(patch, 0)
        assert run("short", max_train_steps=2) == first
    run("short", max_train_steps=4, checkpoints_total_limit=1)
    run("whole", max_train_steps=4)
    assert same_bits(tmp_path / "short" / LORA_FILE, tmp_path / "whole" / LORA_FILE)
    assert {path.name for path in (tmp_path / "short").glob("checkpoint-*")} == {"checkpoint-4"}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_and_resumes(run: Run, tmp_path: Path, objective: str) -> None:
    given: dict[str, Any] = {"objective": objective}
    if OBJECTIVES[objective].data == "rollouts":
        given |= {"d3po_prompts": 2, "d3po_steps": 3, "d3po_block": 2, "judge": "fake"}
    run("whole", **given, max_train_steps=3, checkpointing_steps=1)
    run("parts", **given, max_train_steps=2)
    run("parts", **given, max_train_steps=3)
    assert same_bits(tmp_path / "parts" / LORA_FILE, tmp_path / "whole" / LORA_FILE)
    moved = load_file(tmp_path / "whole" / LORA_FILE)
    assert any(value.any() for name, value in moved.items() if "lora_B" in name)


def test_changed_settings_and_data_are_refused(run: Run, tmp_path: Path) -> None:
    run("one", max_train_steps=2)
    with pytest.raises(ValueError, match=r"started with --beta_dpo 1000.*says 500"):
        run("one", beta_dpo=500)
    with pytest.raises(ValueError, match="started with data memory 5, this command says memory 6"):
        run("one", pairs=MemoryPairs(6))
    with pytest.raises(ValueError, match="no complete checkpoint"):
        run("one", resume_from_checkpoint="checkpoint-7")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"holds 'thesis.tex' and is no run folder"):
        run("foreign")


def test_lora_loads_into_plain_diffusers(run: Run, tmp_path: Path, tiny_folder: Path) -> None:
    """With targets and an alpha that the file must carry; ours and theirs give the same image."""
    given: dict[str, Any] = {"lora_targets": "to_k,conv1,conv_in", "lora_alpha": 16}
    run("lora", max_train_steps=2, learning_rate=0.05, **given)

    def image(pipeline: StableDiffusionPipeline) -> Image.Image:
        pipeline.set_progress_bar_config(disable=True)
        chance = torch.Generator().manual_seed(0)
        [made] = pipeline("a dog", num_inference_steps=2, generator=chance).images
        assert isinstance(made, Image.Image)
        return made

    theirs = StableDiffusionPipeline.from_pretrained(tiny_folder, safety_checker=None)
    before = image(theirs)
    theirs.load_lora_weights(tmp_path / "lora")
    ours = load_backbone(str(tiny_folder), weights=tmp_path / "lora").pipeline  # type: ignore[attr-defined]
    assert_same_picture(image(theirs), image(ours))
    assert_other_picture(before, image(ours))


def test_starting_from_an_earlier_policy(run: Run, tmp_path: Path) -> None:
    """Against the base, the first step already has z != 0; against the start itself z = 0."""
    run("first", max_train_steps=2, learning_rate=1e-2)
    start = {"init_weights": str(tmp_path / "first"), "max_train_steps": 1}
    for name, given, is_zero in [
        ("base", {}, False),
        ("init", {"reference": "init"}, True),
        ("full", {"full": True}, False),
    ]:
        run(name, **start, **given)
        assert is_reference(rows(tmp_path / name)[0]) == is_zero
    with pytest.raises(ValueError, match=r"rank 2, alpha 2.* than --rank 4"):
        run("other", **start, rank=4)
    start["init_weights"] = str(tmp_path / "full")
    with pytest.raises(ValueError, match="Train with --full"):
        run("on-full", **start)
    run("full-on-full", **start, full=True, reference="init")
    assert is_reference(rows(tmp_path / "full-on-full")[0])


@pytest.mark.parametrize("objective", ["sipo", "diffusion-dpo"])
def test_one_pair_is_learnt(run: Run, tmp_path: Path, objective: str) -> None:
    """psi_w - psi_l grows on a single pair."""
    given = {"objective": objective, "beta_dpo": 100, "full": True, "learning_rate": 3e-4}
    given |= {"train_timesteps": "500:600", "max_train_steps": 10}
    run("one", MemoryPairs(1), train_batch_size=4, **given)
    margins = [row["margin"] for row in rows(tmp_path / "one")]
    assert abs(margins[0]) < Z_ROUNDING * 100
    assert min(margins[-3:]) > 0.5


def test_loss_that_is_not_finite_stops_the_run(run: Run) -> None:
    pairs = MemoryPairs(5)
    broken = PairStream(pairs, 0).index(7)  # in the fourth batch of two
    pairs.records[broken] = replace(pairs[broken], winner=torch.full((4, 8, 8), torch.nan))
    first_epoch = PairStream(pairs, 0).index
    pairs.records[broken] = pairs[broken]
    step = next(p for p in range(5) if first_epoch(p) == broken) // 2 + 1
    with pytest.raises(FloatingPointError, match=rf"step {step} .*pair-{broken}.* checkpoint is"):
        run("broken", pairs)


def test_a_run_may_end_with_the_weights_before(run: Run, tmp_path: Path) -> None:
    """Once it has learnt anything; without the option it goes on to the error."""
    pairs, step = MemoryPairs(5), 2
    broken = PairStream(pairs, 0).index(2)  # the first of the second batch of two
    pairs.records[broken] = replace(pairs[broken], winner=torch.full((4, 8, 8), torch.nan))
    summary = run("ended", pairs, stop_on_nan=True)
    out, kept = tmp_path / "ended", f"checkpoint-{step - 1}"
    assert (summary.stopped, summary.steps, summary.policy_of_step) == (True, step - 1, step - 1)
    assert f"not finite at step {step} (pairs " in summary.not_finite
    assert summary.warnings[-1].endswith(
        f"{summary.not_finite}; the run ended with the policy of step {step - 1}. Lower "
        "--learning_rate or --beta_dpo"
    )
    assert same_bits(out / LORA_FILE, out / kept / LORA_FILE)
    assert run("ended", pairs, stop_on_nan=True) == summary
    with pytest.raises(FloatingPointError, match=rf"step {step} .* checkpoint is {out / kept}"):
        run("ended", pairs)
    pairs.records = [
        replace(each, winner=torch.full_like(each.winner, torch.nan)) for each in pairs.records
    ]
    with pytest.raises(FloatingPointError, match=r"step 1 .* checkpoint is none"):
        run("nothing", pairs, stop_on_nan=True)


def test_every_pair_once_an_epoch() -> None:
    stream = PairStream(MemoryPairs(7), seed=3)
    epochs = [[stream.index(7 * epoch + place) for place in range(7)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_and_parts_share_out_the_stream(processes: int) -> None:
    """Without loss or repetition, and the same for every way to make a step of 12 pairs."""
    for parts in (1, 2):
        size = 12 // processes // parts
        settings = make_settings({"train_batch_size": size, "gradient_accumulation_steps": parts})
        for step in range(3):
            seen = [
                position
                for part in range(parts)
                for process in range(processes)
                for position in positions(step, part, process, processes, settings)
            ]
            assert seen == list(range(12 * step, 12 * step + 12))


def test_a_draw_depends_on_its_position_only() -> None:
    """The same rows from a batch of 4 as from two of 2; winner and loser share noise."""
    stream = PairStream(MemoryPairs(5), seed=0)
    settings = make_settings(
        {"timesteps_per_pair": 2, "train_timesteps": "64:200", "proportion_empty_prompts": 0.5}
    )
    whole = draw_batch(stream, range(4), settings, range(64, 200))
    second = draw_batch(stream, range(2, 4), settings, range(64, 200))
    assert torch.equal(whole.noise[4:], second.noise)
    assert torch.equal(whole.timesteps[4:], second.timesteps)
    assert whole.keys[4:] == second.keys
    assert whole.timesteps.min() >= 64
    assert whole.timesteps.max() < 200


def test_accumulation_is_one_large_batch(run: Run, tmp_path: Path) -> None:
    """The mean over kept pairs is over the whole step, whatever parts it is computed in."""
    run("large", train_batch_size=4, max_train_steps=1)
    run("parts", train_batch_size=2, gradient_accumulation_steps=2, max_train_steps=1)
    large, parts = rows(tmp_path / "large")[0], rows(tmp_path / "parts")[0]
    assert large["loss"] == pytest.approx(parts["loss"], rel=1e-5)
    assert large["grad_norm"] == pytest.approx(parts["grad_norm"], rel=1e-4)


def test_gradient_checkpointing_changes_no_weight(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are computed again in the backward pass."""
    calls, forward = [0], ResnetBlock2D.forward

    def counted(*given: Any, **named: Any) -> Any:
        calls[-1] += 1
        return forward(*given, **named)

    monkeypatch.setattr(ResnetBlock2D, "forward", counted)
    for name in ("without", "with"):
        given = {"max_train_steps": 2, "checkpointing_steps": 1}
        run(name, gradient_checkpointing=name == "with", **given)
        calls.append(0)
    assert calls[1] > calls[0]
    plain = tmp_path / "without"
    start = plain / "checkpoint-1" / LORA_FILE
    assert_close_weights(tmp_path / "with" / LORA_FILE, plain / LORA_FILE, start, within=1e-3)


def test_a_lora_over_a_bf16_base_is_float32(tiny_folder: Path) -> None:
    settings = make_settings({"mixed_precision": "bf16", "rank": 2})
    backbone = load_backbone(str(tiny_folder), None, True, base_dtype(settings))
    policy = Policy(backbone, settings)
    assert {p.dtype for p in policy.trainable().values()} == {torch.float32}
    assert {p.dtype for p in policy.denoiser.parameters()} == {torch.float32, torch.bfloat16}
    assert base_dtype(make_settings({"mixed_precision": "bf16", "full": True})) == "float32"


def test_the_8_bit_optimizer_is_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, settings = torch.nn.Parameter(torch.zeros(2)), make_settings({"use_8bit_adam": True})
    assert type(make_optimizer(make_settings({}), [weight])) is torch.optim.AdamW
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ValueError, match=r"needs bitsandbytes; pip install 'sipo\[quantize\]'"):
        make_optimizer(settings, [weight])


@needs("bitsandbytes", "quantize")
def test_both_moments_are_kept_in_8_bits() -> None:
    weight = torch.nn.Parameter(torch.ones(64, 64))
    optimizer = make_optimizer(make_settings({"use_8bit_adam": True}), [weight])
    weight.square().sum().backward()
    optimizer.step()
    state = optimizer.state[weight]
    assert [state[name].dtype for name in ("state1", "state2")] == [torch.uint8] * 2
    assert weight.mean() < 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(ValueError, match="'fp16' needs a GPU; use bf16 or no"):
        make_accelerator(make_settings({"mixed_precision": "fp16"}))

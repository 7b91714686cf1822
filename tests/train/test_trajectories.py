"""A denoising step as a Gaussian, and training on trajectories of the policy itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from alike import assert_same_values, is_reference, same_bits
from diffusers import DDIMScheduler
from memory_pairs import MemoryPrompts, Run

from sipo.backbones.base import LORA_FILE
from sipo.backbones.registry import load_backbone
from sipo.feedback.fake import FakeJudge
from sipo.train.objective.ddim import chain, transition
from sipo.train.objective.importance import Weights
from sipo.train.objective.losses import Errors, d3po
from sipo.train.objective.rollouts import Trajectories
from sipo.train.objective.sampler_steps import negative_log_density
from sipo.train.policy import Policy
from sipo.train.settings import make_settings


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_step_is_diffusers_ddim_with_eta_1(prediction: Any) -> None:
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        timestep_spacing="trailing",
        prediction_type=prediction,
    )
    scheduler.set_timesteps(20)
    assert scheduler.timesteps.tolist() == chain(1000, 20).tolist()
    t, s = scheduler.timesteps[3:5]
    chance = torch.Generator().manual_seed(0)
    noisy, output = torch.randn((2, 1, 4, 8, 8), generator=chance)

    def theirs(noise: torch.Tensor) -> torch.Tensor:
        step = scheduler.step(output, int(t), noisy, eta=1.0, variance_noise=noise)
        return torch.as_tensor(step.prev_sample)

    alphas = scheduler.alphas_cumprod.double()
    snr = alphas / (1 - alphas)
    mean, std = transition(prediction, noisy, output, snr[t][None], snr[s][None])
    torch.testing.assert_close(mean, theirs(torch.zeros_like(noisy)))
    torch.testing.assert_close(mean + std, theirs(torch.ones_like(noisy)))


def test_density_of_one_standard_deviation_is_a_half() -> None:
    mean, std = torch.zeros(2, 1, 2, 2), torch.full((2, 1, 1, 1), 0.5)
    states = torch.full((2, 1, 2, 2), 0.5)
    assert negative_log_density(states, mean, std).tolist() == [0.5, 0.5]


def test_hand_worked_loss() -> None:
    """Gains .05 and -.3 (clipped to log .9): z = .1 (.05 + .10536) = .015536."""
    values = [torch.tensor([value]) for value in (0.35, 0.7, 0.4, 0.4, 0.0)]
    ones = torch.ones(1)
    loss = d3po(Errors(*values), Weights(ones, ones, ones, ones), 0.1)
    assert float(loss.z) == pytest.approx(0.1 * (0.05 - math.log(0.9)), rel=1e-5)
    assert float(loss.losses) == pytest.approx(math.log(1 + math.exp(-0.0155361)), rel=1e-5)


def test_the_first_block_is_the_references_own(run: Run, tmp_path: Path) -> None:
    """Policy = reference at first, so z = 0; a new block is sampled from the moved policy."""
    given = {"objective": "d3po", "d3po_prompts": 2, "d3po_steps": 3, "judge": "fake"}
    run("one", **given, d3po_block=2, learning_rate=1e-2, max_train_steps=4)
    rows = [json.loads(line) for line in (tmp_path / "one" / "log.jsonl").read_text().splitlines()]
    assert is_reference(rows[0])
    assert not is_reference(rows[1])
    assert blocks(tmp_path / "one") == [1]


def blocks(run: Path) -> list[int]:
    """The numbers of those that are kept."""
    return sorted(
        int(path.stem.removeprefix("block-")) for path in (run / "trajectories").iterdir()
    )


def test_blocks_go_when_no_checkpoint_needs_them(run: Run, tmp_path: Path) -> None:
    """Blocks of 2 steps, checkpoints after 3, 6, 9: the first is in the middle of block 1. Going
    on from it, block 2, which is gone, is sampled again, and the weights are the same.
    """
    given = {"objective": "d3po", "d3po_prompts": 2, "d3po_steps": 2, "judge": "fake"}
    given |= {"d3po_block": 2, "learning_rate": 1e-2, "checkpointing_steps": 3}
    run("one", **given, max_train_steps=9)
    assert blocks(tmp_path / "one") == [1, 3, 4]
    whole = (tmp_path / "one" / LORA_FILE).rename(tmp_path / "whole.safetensors")
    run("one", **given, max_train_steps=9, resume_from_checkpoint="checkpoint-3")
    assert same_bits(whole, tmp_path / "one" / LORA_FILE)


def test_a_card_samples_several_prompts_at_once(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 candidates a batch, 4 of each prompt: two prompts. A CPU takes them one by one."""
    settings = make_settings({"objective": "d3po", "train_batch_size": 10})
    policy = Policy(load_backbone(str(tiny_folder), denoiser_only=True), settings)
    made = Trajectories(policy, cast(Any, MemoryPrompts()), FakeJudge(), settings, tiny_folder)
    assert made._groups(range(3, 6)) == [range(3, 4), range(4, 5), range(5, 6)]
    monkeypatch.setattr(Policy, "device", torch.device("cuda"))
    assert made._groups(range(3, 6)) == [range(3, 5), range(5, 6)]


def test_prompts_of_one_batch_are_those_alone(tiny_folder: Path) -> None:
    """But for rounding: chance is each candidate's own."""
    settings = make_settings({"objective": "d3po", "d3po_steps": 2, "d3po_candidates": 2})
    policy, prompts = Policy(load_backbone(str(tiny_folder)), settings), MemoryPrompts()
    made = Trajectories(policy, cast(Any, prompts), FakeJudge(), settings, tiny_folder)
    texts = [prompts.conditioning(place) for place in (0, 1)]
    states, latents = made.rollout([4, 7], texts)
    for place, text, rows in zip((4, 7), texts, (slice(0, 2), slice(2, 4)), strict=True):
        alone_states, alone_latents = made.rollout([place], [text])
        assert_same_values(states[rows], alone_states)
        assert_same_values(latents[rows], alone_latents)

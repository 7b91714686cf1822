"""d3po on flow models: the stochastic step against its sources, and trajectories on tiny ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import makers
import pytest
import torch
from alike import assert_same_values, is_reference, same_bits
from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors.torch import load_file
from torch import Tensor
from torch.distributions import Normal

from sipo.backbones.base import LORA_FILE, Sampler
from sipo.backbones.registry import load_backbone
from sipo.common.files.text import read_text
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar
from sipo.train.monitor.log_rows import read_rows
from sipo.train.objective import rollouts
from sipo.train.objective.flow_sde import FlowSde, transition
from sipo.train.objective.rollouts import Trajectories
from sipo.train.objective.sampler_steps import negative_log_density, steps_of
from sipo.train.policy import Policy
from sipo.train.settings import make_settings
from sipo.train.trainer import train

pytestmark = pytest.mark.filterwarnings("ignore:.FluxPosEmbed. is deprecated:FutureWarning")

EULER = (
    "flux",
    "chroma",
    "flux2_klein",
    "hunyuan_video",
    "sd3",
    "qwen_image",
    "qwen_image_21",
    "z_image",
)
"""The others sample with solvers of higher order."""
_LONG = ("flux2_klein", "qwen_image_21")
FLOWS = [
    pytest.param(name, marks=pytest.mark.slow if name in _LONG else ())
    for name in (*EULER, "sana", "wan")
]
PROMPTS = [grammar.single_object(name) for name in ("cat", "dog", "bus")]
SEED = 7


class FlowPrompts:
    """Three prompts as shards of the tiny pipeline would have them."""

    def __init__(self, backbone: Any, guidance: float = 2.0) -> None:
        sampler = backbone.default_sampler.model_copy(update={"guidance": guidance})
        self.meta: dict[str, Any] = {"backbone": {"name": backbone.name}}
        self.meta["sampler"] = sampler.model_dump()
        self.prompts = PROMPTS
        texts = [prompt.text for prompt in PROMPTS]
        self.latents_shape = tuple(backbone.sample(texts[:1], [0], sampler)[0].latents.shape)
        *self.rows, self.empty = [
            {name: value[i] for name, value in backbone.encode_prompts([*texts, ""]).items()}
            for i in range(len(texts) + 1)
        ]

    def __len__(self) -> int:
        return len(self.prompts)

    def conditioning(self, i: int) -> dict[str, Tensor]:
        return self.rows[i]

    def order(self, seed: int) -> list[int]:
        return [(seed + i) % len(self) for i in range(len(self))]

    def fingerprint(self) -> str:
        return "flow prompts"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def of(family: str) -> Path:
        if family not in made:
            made[family] = makers.ALL[family](tmp_path_factory.mktemp("flow") / family)
        return made[family]

    return of


def trajectories(backbone: Any, prompts: FlowPrompts, **given: Any) -> Trajectories:
    small = {"objective": "d3po", "d3po_steps": 4, "d3po_candidates": 2, "rank": 2}
    settings = make_settings(small | given)
    policy = Policy(backbone, settings)
    return Trajectories(policy, cast(Any, prompts), FakeJudge(), settings, Path("unused"))


@pytest.mark.parametrize("guidance", [0.5, 3.0])
@pytest.mark.parametrize("family", FLOWS)
def test_without_noise_it_is_the_pipelines_own_sampling(
    folder: Callable[[str], Path], family: str, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the same initial noise, by Euler's step on the family's own schedule: evenly spaced and
    shifted by the picture's size (FLUX, Chroma, FLUX.2) or by 3 (Z-Image), the scheduler's own
    (SD 3). Sana and Wan are given Euler's scheduler for it. FLUX is told its guidance.
    """
    backbone: Any = load_backbone(str(folder(family)))
    if family not in EULER:
        backbone.pipeline.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    prompts = FlowPrompts(backbone, guidance)
    made = trajectories(backbone, prompts)
    made.steps = replace(cast(FlowSde, made.steps), eta=0.0)
    seeds = iter((SEED, SEED + 1))
    monkeypatch.setattr(
        rollouts, "generator", lambda *_: torch.Generator().manual_seed(next(seeds))
    )
    states, latents = made.rollout([0], [prompts.conditioning(0)])
    sampler = Sampler.model_validate(prompts.meta["sampler"]).model_copy(update={"steps": 4})
    pipelines = backbone.sample([PROMPTS[0].text] * 2, [SEED, SEED + 1], sampler)
    assert states.shape == (2, 4, *prompts.latents_shape)
    assert_same_values(latents, torch.stack([sample.latents for sample in pipelines]))


@pytest.mark.parametrize("family", FLOWS)
def test_levels_are_the_schedulers_own(folder: Callable[[str], Path], family: str) -> None:
    """Also of Sana's and Wan's, which begin just below 1."""
    backbone: Any = load_backbone(str(folder(family)))
    sampler = backbone.default_sampler.model_copy(update={"steps": 5})
    [sample] = backbone.sample(["a cat"], [0], sampler)
    shape = sample.latents.shape
    steps = steps_of(backbone, shape, make_settings({"objective": "d3po", "d3po_steps": 5}))
    assert isinstance(steps, FlowSde)
    assert steps.eta == 0.7
    theirs = backbone.pipeline.scheduler.sigmas.double()
    assert torch.equal(steps.levels, theirs[:-1])
    assert theirs[-1] == 0
    torch.testing.assert_close(backbone.sigma(steps.timesteps, torch.float64), steps.levels)


def test_a_line_of_shifts_is_the_pipelines() -> None:
    from diffusers.pipelines.flux.pipeline_flux import calculate_shift

    from sipo.backbones.flow import _shift_of

    for tokens in (96, 4096):
        assert _shift_of({}, tokens) == pytest.approx(calculate_shift(tokens), rel=1e-12)


def given_step(t: float, s: float, eta: float = 0.7) -> tuple[Tensor, Tensor, Tensor]:
    """x_t, v and the two of them by the formula as it is written: mean and variance."""
    chance = torch.Generator().manual_seed(0)
    x, v = torch.randn(2, 1, 3, 4, 4, dtype=torch.float64, generator=chance)
    g2, dt = eta**2 * t / (1 - t), s - t
    mean = x + (v + g2 / (2 * t) * (x + (1 - t) * v)) * dt
    return torch.stack([x, v]), mean, torch.tensor(g2 * -dt, dtype=torch.float64)


@pytest.mark.parametrize(("t", "s"), [(0.98, 0.95), (0.5, 0.4), (0.01, 0.002)])
def test_the_step_is_the_exact_gaussian(t: float, s: float) -> None:
    (x, v), mean, variance = given_step(t, s)
    levels = torch.tensor([[t], [s]], dtype=torch.float64)
    ours, std = transition(x, v, *levels, eta=0.7, second=0.99)
    torch.testing.assert_close(ours, mean, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(std.flatten(), variance.sqrt()[None], rtol=1e-12, atol=0)
    states, other = mean + 0.3, v / 2
    exact = Normal(mean, variance.sqrt())
    shifted, same = transition(x, other, *levels, eta=0.7, second=0.99)
    ratio = negative_log_density(states, shifted, same) - negative_log_density(states, ours, std)
    theirs = (exact.log_prob(states) - Normal(shifted, same).log_prob(states)).mean()
    torch.testing.assert_close(ratio[0], theirs, rtol=1e-12, atol=0)
    constant = (2 * torch.pi * variance).log() / 2
    density = negative_log_density(states, ours, std)[0] + constant
    torch.testing.assert_close(density, -exact.log_prob(states).mean(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("top", [1.0, 1 - 1e-6])
def test_the_first_step_has_the_second_levels_noise(top: float) -> None:
    """g^2 |dt| = eta^2 t / (1 - t_2) (t - t_2) = eta^2; the mean is finite, and of t = 1 it takes
    only dt v of the velocity.
    """
    t, s = (torch.tensor([value], dtype=torch.float64) for value in (top, 0.95))
    x, v = torch.ones(2, 1, 2, dtype=torch.float64)
    mean, std = transition(x, v, t, s, eta=0.7, second=0.95)
    torch.testing.assert_close(std, torch.full_like(std, 0.7), rtol=1e-4, atol=0)
    expected = torch.full_like(mean, 1 - 0.49 / 2 - 0.05)
    torch.testing.assert_close(mean, expected, rtol=1e-4, atol=0)


MEAN, SPREAD = 1.5, 0.6  # of the toy's clean values


def toy_velocity(x: Tensor, t: Tensor) -> Tensor:
    """E[eps - x_0 | x_t] of x_0 ~ N(MEAN, SPREAD^2), x_t = (1 - t) x_0 + t eps."""
    kept = (1 - t) * SPREAD**2
    return (t - kept) / ((1 - t) * kept + t**2) * (x - (1 - t) * MEAN) - MEAN


def moments(levels: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Mean and variance at each of `levels`, exactly: a step is affine in x."""
    t = levels[0]
    mean, variance = (1 - t) * MEAN, (1 - t) ** 2 * SPREAD**2 + t**2
    means, variances = [mean], [variance]
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    for t, s in pairwise(levels):
        at, to = t.expand(2), s.expand(2)
        out, std = transition(x, toy_velocity(x, t), at, to, eta, float(levels[1]))
        slope = out[1] - out[0]
        mean, variance = (slope * mean + out[0])[0], (slope**2 * variance + std[0] ** 2)[0]
        means.append(mean)
        variances.append(variance)
    return torch.stack(means), torch.stack(variances)


def apart(count: int, highest: float, eta: float) -> tuple[Tensor, Tensor]:
    """From the flow's own marginals at each level: means, and variances relative to its."""
    levels = torch.linspace(highest, 0.01, count + 1, dtype=torch.float64)
    means, variances = moments(levels, eta)
    exact = (1 - levels) ** 2 * SPREAD**2 + levels**2
    return means - (1 - levels) * MEAN, variances / exact - 1


@pytest.mark.parametrize("eta", [0.0, 0.3, 0.7, 1.0])
def test_noise_keeps_the_marginals_of_the_flow(eta: float) -> None:
    """At every level, but for an error of first order in the step, which Euler's has too."""
    (means, wide), (_, half) = apart(250, 0.95, eta), apart(500, 0.95, eta)
    torch.testing.assert_close(means, torch.zeros_like(means), rtol=0, atol=1e-12)
    assert half.abs().max() < 0.006
    assert float(wide.abs().max() / half.abs().max()) == pytest.approx(2, rel=0.1)


def test_a_whole_chain_ends_where_the_flow_does() -> None:
    """From pure noise the first step's variance is 1 + eta^4 / 4, which later steps pull back: of
    20 steps the last is nearer to the data than Euler's.
    """
    (_, euler), (_, short), (means, long) = (
        apart(count, 1.0, eta) for count, eta in ((20, 0.0), (20, 0.7), (200, 0.7))
    )
    torch.testing.assert_close(means, torch.zeros_like(means), rtol=0, atol=1e-12)
    assert float(long[1]) == pytest.approx(0.7**4 / 4, rel=0.1)
    assert abs(long[-1]) < 0.006
    assert abs(short[-1]) < 0.03
    assert abs(euler[-1]) > 0.1


@pytest.mark.parametrize("family", FLOWS)
def test_it_trains_and_goes_on_to_the_bit(
    folder: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    """Images and clips; policy = reference at first, and the gradient reaches the LoRA."""
    prompts = FlowPrompts(load_backbone(str(folder(family))))
    given: dict[str, Any] = {"objective": "d3po", "d3po_prompts": 2, "d3po_steps": 3}
    given |= {"d3po_block": 2, "d3po_candidates": 2, "judge": "fake", "learning_rate": 1e-2}
    given |= {"train_batch_size": 2, "rank": 2, "report_to": "none", "checkpointing_steps": 1}

    def run(name: str, steps: int) -> Path:
        settings = make_settings(given | {"out": str(tmp_path / name), "max_train_steps": steps})
        train(settings, load_backbone(str(folder(family))), cast(Any, prompts))
        return tmp_path / name / LORA_FILE

    whole = run("whole", 3)
    run("parts", 1)
    assert same_bits(whole, run("parts", 3))
    rows = read_rows(tmp_path / "whole" / "log.jsonl")
    assert is_reference(rows[0])
    assert not is_reference(rows[1])
    assert any(value.any() for name, value in load_file(whole).items() if "lora_B" in name)
    assert "d3po_eta" not in read_text(tmp_path / "whole" / "settings.yaml")


def test_more_noise_is_an_option(folder: Callable[[str], Path]) -> None:
    """Of both families; its range ends at 1, where DDIM's does."""
    for family, eta in (("sd1", 1.0), ("sd3", 0.7)):
        backbone = load_backbone(str(folder(family)))
        for asked, expected in ((None, eta), (0.4, 0.4)):
            settings = make_settings({"objective": "d3po", "d3po_eta": asked})
            assert cast(Any, steps_of(backbone, (4, 8, 8), settings)).eta == expected
    for wrong in (0, 1.1):
        with pytest.raises(ValueError, match="d3po_eta"):
            make_settings({"d3po_eta": wrong})

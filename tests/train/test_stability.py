"""Options that keep preference training stable: on numbers worked by hand, and on tiny runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from alike import same_bits
from diffusers.training_utils import EMAModel
from memory_pairs import MemoryPairs, Run
from safetensors.torch import load_file
from torch import Tensor, nn

from sipo.backbones.base import LORA_FILE
from sipo.backbones.registry import load_backbone
from sipo.train.auto_beta import MEMORY, AutoBeta
from sipo.train.checkpoint_files import RunSummary
from sipo.train.ema import Ema, MovingReference, warmed_up
from sipo.train.objective.importance import Weights
from sipo.train.objective.losses import OBJECTIVES, Errors, cap_margin, safe_loser
from sipo.train.policy import Policy
from sipo.train.settings import NO_CAP, NO_LOSER, make_settings
from sipo.train.trainer import Trainer
from sipo.train.winner_error import WinnerError

FULL = "unet/diffusion_pytorch_model.safetensors"
PAIRED = sorted(set(OBJECTIVES) - set(NO_LOSER))
CAPPED = sorted(set(OBJECTIVES) - set(NO_CAP))
HARD: dict[str, Any] = {
    "objective": "diffusion-dpo",
    "beta_dpo": 20,
    "learning_rate": 1e-2,
    "lora_targets": "all",
    "train_timesteps": "500:501",
    "max_train_steps": 36,
    "checkpointing_steps": 4,
}
"""Two pairs, two a step, whose winners' errors double within four steps, at about the 30th."""


def rows(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "pairs_per_s"} for line in lines]


def growth(out: Path) -> float:
    """Of the winners' error over the reference's, mean of the last five steps."""
    last = rows(out)[-5:]
    return sum(row["error_w"] / row["ref_error_w"] - 1 for row in last) / 5


def gradients(
    name: str, winner: float, loser: float, cap: float | None = None, mu: float | None = None
) -> tuple[float, float]:
    """Of the loss by the winner's and the loser's error, at beta 2 against errors of .4."""
    leaves = [torch.tensor([value], requires_grad=True) for value in (winner, loser)]
    reference, one = torch.tensor([0.4]), torch.ones(1)
    errors = Errors(*leaves, reference, reference, cross=torch.tensor([0.2]))
    given = errors if mu is None else safe_loser(errors, mu)
    loss = OBJECTIVES[name].loss(given, Weights(one, one, one, one), 2.0)
    cap_margin(loss, cap).losses.sum().backward()
    found = [torch.zeros(1) if leaf.grad is None else leaf.grad for leaf in leaves]
    return float(found[0]), float(found[1])


@pytest.mark.parametrize("name", CAPPED)
def test_a_pair_beyond_the_cap_has_no_gradient(name: str) -> None:
    """z = .1 + .1 = .2. A cap of .3 changes nothing, of .1 ends the push; z = -.2 is pulled up."""
    free = gradients(name, 0.3, 0.5)
    assert free[0] > 0 > free[1]
    assert gradients(name, 0.3, 0.5, cap=0.3) == free
    assert gradients(name, 0.3, 0.5, cap=0.1) == (0, 0)
    assert gradients(name, 0.5, 0.3, cap=0.1) == gradients(name, 0.5, 0.3)


def test_a_capped_pair_keeps_its_loss_and_its_terms() -> None:
    """Its loss is seen; what is added beside the margin still teaches."""
    from sipo.train.objective.losses import add_terms

    winner = torch.tensor([0.3], requires_grad=True)
    reference, one = torch.tensor([0.4]), torch.ones(1)
    errors = Errors(winner, torch.tensor([0.5]), reference, reference, cross=one)
    loss = OBJECTIVES["diffusion-dpo"].loss(errors, Weights(one, one, one, one), 2.0)
    capped = cap_margin(loss, 0.1)
    assert torch.equal(capped.losses, loss.losses)
    [gradient] = torch.autograd.grad(add_terms(capped, errors, sft_weight=3).losses.sum(), winner)
    assert float(gradient) == 3


@pytest.mark.parametrize("name", PAIRED)
def test_the_safe_losers_gradient_is_scaled_and_the_value_is_not(name: str) -> None:
    """lambda = (1 - .9) .3 / .2 = .15."""
    free, safe = gradients(name, 0.3, 0.5), gradients(name, 0.3, 0.5, mu=0.9)
    assert safe == pytest.approx((free[0], 0.15 * free[1]))
    half = torch.tensor([0.5])
    errors = Errors(half, half, half, half, cross=half)
    assert torch.equal(safe_loser(errors, 0.9).loser, half)


def test_diffusion_sdpo_is_diffusion_dpo_with_a_safe_loser() -> None:
    safe = gradients("diffusion-dpo", 0.3, 0.5, mu=0.9)
    assert gradients("diffusion-sdpo", 0.3, 0.5) == safe


@pytest.mark.parametrize("name", sorted(set(PAIRED) - {"ipo", "mapo"}))
def test_a_small_step_cannot_raise_the_winners_error(name: str) -> None:
    """Outputs o_w, o_l that a shared shift moves, the worst case: targets on one side, the loser's
    farther. A step of 1e-3 down the gradient; without the option the winner's error rises. (MaPO
    has the winner's error in its loss.)
    """

    def errors(shift: Tensor) -> Errors:
        residual_w, residual_l = torch.full((4,), 0.5) + shift, torch.full((4,), 2.0) + shift
        winner, loser = (r.square().mean()[None] for r in (residual_w, residual_l))
        cross = (residual_w * residual_l).detach().mean()[None]
        return Errors(winner, loser, winner.detach(), loser.detach(), cross)

    def after(mu: float | None) -> float:
        shift, one = torch.zeros(4, requires_grad=True), torch.ones(1)
        given = errors(shift)
        given = given if mu is None else safe_loser(given, mu)
        loss = OBJECTIVES[name].loss(given, Weights(one, one, one, one), 2.0)
        [gradient] = torch.autograd.grad(loss.losses.sum(), shift)
        return float(errors(-1e-3 * gradient).winner.detach())

    assert after(None) > 0.25 > after(0.9)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        *(
            ({"objective": n, "margin_cap": 1}, f"--margin_cap is not for .*'{n}'")
            for n in sorted(NO_CAP)
        ),
        *(
            ({"objective": n, "auto_beta": True}, f"--auto_beta is not for .*'{n}'")
            for n in sorted(NO_CAP)
        ),
        *(
            ({"objective": n, "safe_loser": 1}, f"_loser is not for .*'{n}'")
            for n in sorted(NO_LOSER)
        ),
        *(
            ({"objective": n, "stop_on_winner_error": 0.1}, f"'{n}' does not measure; leave one")
            for n in ("sft", "mapo", "d3po")
        ),
        ({"reference": "moving", "reference_draws": 2}, "--reference_draws needs one that stands"),
        ({"reference": "moving", "shard_weights": True}, "--shard_weights needs one that stands"),
    ],
)
def test_what_means_nothing_is_refused(given: dict[str, Any], sentence: str) -> None:
    if given.get("objective") not in {*OBJECTIVES, None}:
        pytest.skip("no such objective here")
    with pytest.raises(ValueError, match=sentence):
        make_settings(given)


def test_winners_can_be_watched_wherever_a_reference_is_kept() -> None:
    for given in ({"objective": "diffusion-kto"}, {"objective": "sft", "winner_anchor": 1}):
        assert make_settings({**given, "stop_on_winner_error": 0.1}).stop_on_winner_error == 0.1


def test_beta_goes_to_the_band_by_a_percent_a_step() -> None:
    """|z| .1 at beta 100: below .25, so from step 20 on 101, 102.01; |z| / beta is what is kept.

    At |z| = .5 it stays. |z| 2: the mean rises to .5 / 2 at step 22 + ..., then it falls.
    """
    auto = AutoBeta(100.0)
    for _ in range(MEMORY - 1):
        auto.update(0.1)
    assert auto.beta == 100
    auto.update(0.1)
    assert auto.beta == pytest.approx(101)
    auto.update(0.101)
    assert auto.beta == pytest.approx(102.01)
    assert auto.gap == pytest.approx(0.001)
    still, high = AutoBeta(100.0), AutoBeta(100.0)
    for _ in range(MEMORY):
        still.update(0.5)
        high.update(2.0)
    assert (still.beta, high.beta) == (100, pytest.approx(100 / 1.01))


def test_beta_ends_in_the_band_and_stays_within_its_range() -> None:
    """A gap of .004 wants beta 62.5 to 250; none at all leads to ten times the first."""
    for start, end in ((10.0, 62.5), (1000.0, 250.0)):
        auto = AutoBeta(start)
        for _ in range(400):
            auto.update(0.004 * auto.beta)
        assert auto.beta == pytest.approx(end)
    silent = AutoBeta(10.0)
    for _ in range(400):
        silent.update(0.0)
    assert silent.beta == 100


def test_the_winners_error_is_a_running_mean() -> None:
    """32 pairs a step: means of all until 128 pairs, then a quarter of each step.

    Growth 0, then .2: (.4 + .48) / .8 - 1 = .1, .4 / 3, .15, and .75 * .15 + .25 * .2 = .1625.
    """
    seen = WinnerError(0.14, 32)
    found = []
    for winner in (0.4, 0.48, 0.48, 0.48, 0.48):
        seen.update(winner, 0.4)
        found.append((seen.growth, seen.is_over))
    assert [growth for growth, _ in found] == pytest.approx([0, 0.1, 0.4 / 3, 0.15, 0.1625])
    assert [is_over for _, is_over in found] == [False, False, False, True, True]
    few = WinnerError(0.1, 8)
    few.update(2.0, 1.0)
    assert (few.growth, few.is_over) == (None, False)


def test_the_decay_rises_as_diffusers_has_it() -> None:
    theirs = EMAModel([nn.Parameter(torch.zeros(1))], decay=0.99)
    for step in (1, 2, 3, 50, 500, 890, 891, 5000):
        assert warmed_up(0.99, step) == pytest.approx(theirs.get_decay(step))
    assert warmed_up(0.99, 890) < 0.99 == warmed_up(0.99, 891)


def test_a_short_runs_average_is_of_its_last_steps() -> None:
    """Weights 1 to 500: the average at .999 lies 50 behind, not at the start."""
    weight = nn.Parameter(torch.zeros(1))
    ema = Ema({"w": weight}, 0.999)
    for step in range(1, 501):
        weight.data.fill_(step)
        ema.update(step)
    assert 445 < float(ema.average["w"]) < 455


def test_a_moving_reference_follows_in_place() -> None:
    """.75 * 0 + .25 * 4 = 1, then .75 * 1 + .25 * 4 = 1.75."""
    weight, reference = nn.Parameter(torch.full((2,), 4.0)), torch.zeros(2)
    moving = MovingReference({"w": weight}, 0.75, {"w": reference})
    moving.update(1)
    assert reference.tolist() == [1, 1]
    moving.update(2)
    assert reference.tolist() == [1.75, 1.75]


@pytest.mark.parametrize("full", [False, True])
def test_the_reference_begins_as_the_policy_and_follows_it(
    run: Run, tmp_path: Path, tiny_folder: Path, full: bool
) -> None:
    """From --init_weights: z = 0 at the first step, and after it r = .9 start + .1 policy."""
    run("first", full=full, learning_rate=1e-2, max_train_steps=2)
    given = {"init_weights": str(tmp_path / "first"), "reference": "moving", "full": full}
    given |= {"rank": 2, "data": ["x"]}
    policy = Policy(load_backbone(str(tiny_folder), denoiser_only=True), make_settings(given))
    start = {name: value.clone() for name, value in policy.moving_reference().items()}
    assert start.keys() == policy.trainable().keys()
    for name, value in policy.state_dict().items():
        assert torch.equal(value, start[name])
        assert not policy.moving_reference()[name].requires_grad
    run("moving", **given, reference_decay=0.9, max_train_steps=2, checkpointing_steps=1)
    assert rows(tmp_path / "moving")[0]["abs_z"] < 1e-3 < rows(tmp_path / "moving")[1]["abs_z"]
    kept = load_file(tmp_path / "moving" / "checkpoint-1" / "state.safetensors")
    saved = tmp_path / "moving" / "checkpoint-1"
    trained = load_file(saved / FULL) if full else {}
    for name, first in start.items():
        now = trained[name] if full else kept[f"policy/{name}"]
        torch.testing.assert_close(kept[f"reference/{name}"], 0.9 * first + 0.1 * now)


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ({"reference": "moving", "reference_decay": 0.5, "full": True}, FULL),
        ({"reference": "moving", "denominator": "ref", "ema_decay": 0.9}, LORA_FILE),
        (
            {"auto_beta": True, "max_train_steps": 24, "beta_dpo": 0.1, "logging_steps": 5},
            LORA_FILE,
        ),
        ({"stop_on_winner_error": 9.0, "train_batch_size": 16}, LORA_FILE),
        ({"margin_cap": 0.01, "safe_loser": 0.5}, LORA_FILE),
    ],
)
def test_a_resumed_run_ends_with_the_same_bits(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], file: str
) -> None:
    """Killed two steps before its end, a step after its last checkpoint."""
    given = {"learning_rate": 1e-3, "checkpointing_steps": 3, "max_train_steps": 6} | given
    run("whole", **given)
    step, end = Trainer.step, given["max_train_steps"] - 1

    def dying(self: Trainer) -> Any:
        if self.done == end:
            raise KeyboardInterrupt
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", dying)
        with pytest.raises(KeyboardInterrupt):
            run("stopped", **given)
    run("stopped", **given)
    assert same_bits(tmp_path / "whole" / file, tmp_path / "stopped" / file)
    assert rows(tmp_path / "whole") == rows(tmp_path / "stopped")


def test_beta_is_logged_as_it_was_used(run: Run, tmp_path: Path) -> None:
    run("auto", auto_beta=True, beta_dpo=0.1, max_train_steps=22, checkpointing_steps=50)
    betas = [row["beta"] for row in rows(tmp_path / "auto")]
    assert betas == pytest.approx([0.1] * 20 + [0.101, 0.10201])


def wild(run: Run, name: str, **given: Any) -> RunSummary:
    return run(name, MemoryPairs(2), **(HARD | given))


@pytest.mark.slow
def test_a_winners_error_that_explodes_within_steps(run: Run, tmp_path: Path) -> None:
    """Plain, it is more than double after 36 steps. A safe loser keeps it below the reference's;
    a stop ends the run with the policy of the last checkpoint before, and says so.
    """
    wild(run, "plain")
    assert growth(tmp_path / "plain") > 0.6
    wild(run, "safe", safe_loser=0.9)
    assert growth(tmp_path / "safe") < 0
    summary = wild(run, "stopped", stop_on_winner_error=0.1, max_train_steps=99)
    out = tmp_path / "stopped"
    good = 4 * ((summary.steps - 1) // 4)  # the last one before
    assert (summary.stopped, summary.policy_of_step) == (True, good)
    assert summary.steps < 60
    [sentence] = summary.warnings
    assert "--stop_on_winner_error 0.1 allows: the run ends, with the policy of" in sentence
    assert same_bits(out / LORA_FILE, out / f"checkpoint-{good}" / LORA_FILE)
    assert not (out / f"checkpoint-{summary.steps}").exists()
    assert rows(out)[-1]["step"] == summary.steps
    assert wild(run, "stopped", stop_on_winner_error=0.1, max_train_steps=99) == summary
    onwards = wild(run, "stopped", max_train_steps=good + 1)  # without it, as if it never had been
    assert (onwards.stopped, onwards.policy_of_step) == (False, good + 1)


def test_a_run_without_a_checkpoint_ends_with_the_policy_it_has(run: Run, tmp_path: Path) -> None:
    given = {"stop_on_winner_error": 0.1, "checkpointing_steps": 500, "logging_steps": 7}
    summary = wild(run, "stopped", max_train_steps=99, **given)
    assert summary.policy_of_step == summary.steps < 60
    last = f"checkpoint-{summary.steps}"
    assert same_bits(tmp_path / "stopped" / LORA_FILE, tmp_path / "stopped" / last / LORA_FILE)
    assert rows(tmp_path / "stopped")[-1]["step"] == summary.steps


def test_the_option_may_come_later(run: Run, tmp_path: Path) -> None:
    """It changes no weight: a run begun without it goes on with it."""
    run("late", max_train_steps=2)
    run("late", max_train_steps=4, stop_on_winner_error=9)
    run("never", max_train_steps=4)
    assert same_bits(tmp_path / "late" / LORA_FILE, tmp_path / "never" / LORA_FILE)


@pytest.mark.slow
def test_a_margin_without_bounds_ruins_winners_and_a_cap_saves_them(
    run: Run, tmp_path: Path
) -> None:
    """Few pairs seen often: after 80 steps the margin is at 17 and winners' errors are three times
    the reference's; AdamW's momentum carries some way beyond a cap of 1.
    """
    given = {"learning_rate": 3e-3, "max_train_steps": 80, "checkpointing_steps": 80}
    wild(run, "plain", **given)
    wild(run, "capped", margin_cap=1, **given)
    assert growth(tmp_path / "plain") > 1.5
    assert growth(tmp_path / "capped") < 0.75
    assert rows(tmp_path / "capped")[-1]["abs_z"] < rows(tmp_path / "plain")[-1]["abs_z"] / 2


def test_keep_best_goes_before_the_last_checkpoint(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best look is after step 8; with a moving average it is the average that is kept."""
    from sipo.train.monitor.validation import Validation

    def look(self: Validation, step: int) -> dict[str, Any]:
        overall = 1.0 if step == 8 else 0.5
        return {"overall": overall, "prompts": {"a": {"p": overall}}, "empty_share": 0.0}

    monkeypatch.setattr(Validation, "look", look)
    given = {"validation_pairs": 8, "keep_best": True, "validation_judge": "fake"}
    given |= {"ema_decay": 0.9, "stop_on_winner_error": 0.1, "max_train_steps": 99}
    pairs = MemoryPairs(2)
    pairs.meta["sampler"] = {"steps": 2, "guidance": 2.0}
    file = tmp_path / "prompts.txt"
    file.write_text("a photo of a cat\n")
    summary = run("best", pairs, **(HARD | given | {"validation_prompts": str(file)}))
    assert (summary.stopped, summary.policy_of_step) == (True, 8)
    out = tmp_path / "best"
    assert same_bits(out / LORA_FILE, out / "checkpoint-8" / LORA_FILE)
    kept = load_file(out / "checkpoint-8" / "state.safetensors")
    saved = load_file(out / LORA_FILE)
    name = next(name for name in saved if "lora_B" in name)
    inner = name.removeprefix("unet.").replace(".weight", ".default.weight")
    assert torch.equal(saved[name], kept[f"ema/{inner}"])
    assert not torch.equal(saved[name], kept[f"policy/{inner}"])

"""Two denoisers of one checkpoint, Wan 2.2 A14B's: sampled together, trained one by one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from alike import assert_other_picture, assert_same_picture, assert_same_values
from diffusers import WanPipeline, WanTransformer3DModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sampled_pairs import SampledPairs
from tiny_video import WAN_PX, plain_clip, tiny_wan, watch

from sipo.backbones.base import LORA_FILE, Sampler
from sipo.backbones.experts import FOLDERS
from sipo.backbones.registry import load_backbone
from sipo.train.objective.denoising_errors import PairSource
from sipo.train.settings import make_settings
from sipo.train.sharing.loading_code import loading_code
from sipo.train.timesteps import trained_timesteps
from sipo.train.trainer import train

EXPERTS = ["high", "low"]
SAMPLER = Sampler(steps=2, guidance=3.0, guidance_2=60.0, height=WAN_PX, width=WAN_PX, frames=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_wan(tmp_path_factory.mktemp("experts") / "tiny-a14b", kind="a14b")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Any:
    return load_backbone(str(folder))


@pytest.fixture(scope="module")
def pairs(whole: Any) -> SampledPairs:
    return SampledPairs(whole, ["a cat", "a red dog"])


@pytest.fixture(scope="module")
def runs(folder: Path, pairs: SampledPairs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with high/ and low/, a run each."""
    out = tmp_path_factory.mktemp("policy")
    for expert in EXPERTS:
        alone = load_backbone(str(folder), denoiser_only=True, expert=expert)
        train(settings_of(expert, out / expert), alone, pairs)
    return out


def settings_of(expert: str | None, out: Path | str = "runs/none", **more: Any) -> Any:
    given = {"max_train_steps": 2, "train_batch_size": 2, "rank": 2, "learning_rate": 0.2}
    quiet = {"report_to": "none", "data": ["shards"], "out": str(out), "expert": expert}
    return make_settings(given | quiet | more)


def clip(backbone: Any, sampler: Sampler = SAMPLER) -> Any:
    return backbone.sample(["a cat"], [1], sampler)[0].frames


def test_each_is_asked_at_its_own_timesteps(folder: Path, whole: Any) -> None:
    """By the pipeline's own loop: which one, what it is told, each with its own guidance."""
    plain = WanPipeline.from_pretrained(folder)
    calls = watch(plain)
    plain_clip(plain, "a red dog", 5, SAMPLER)
    asked = []
    for number, stepped in enumerate(calls.stepped):
        halves = []
        for text, place in (("a red dog", 2 * number), ("", 2 * number + 1)):
            fed = calls.fed[place]
            t = fed["timestep"] - 1
            [expert] = [name for name, own in whole.experts.items() if int(t) in own]
            assert calls.asked[place] is getattr(plain, FOLDERS[expert])
            denoiser, prompt = whole.chosen(expert).denoiser, whole.encode_prompts([text])
            with torch.no_grad():
                ours = whole.predict(denoiser, fed["hidden_states"], t, prompt)
            assert_same_values(ours, calls.got[place])
            halves.append(ours)
        scale = {"high": 3.0, "low": 60.0}[expert]
        assert_same_values(halves[1] + scale * (halves[0] - halves[1]), stepped)
        asked.append(expert)
    assert set(asked) == set(EXPERTS)
    high = [t for t in range(1000) if t + 1 >= 0.875 * 1000]  # the pipeline's condition
    assert list(whole.experts["high"]) == high
    assert [*whole.experts["low"], *whole.experts["high"]] == list(range(1000))


def test_one_guidance_is_for_both(folder: Path, whole: Any) -> None:
    one = SAMPLER.model_copy(update={"guidance_2": None})
    plain = plain_clip(WanPipeline.from_pretrained(folder), "a cat", 1, one)
    assert_same_picture(plain, clip(whole, one))
    assert_other_picture(plain, clip(whole))


@pytest.mark.parametrize("expert", EXPERTS)
def test_training_one_leaves_the_other_in_its_files(
    expert: str, folder: Path, tmp_path: Path
) -> None:
    there = tmp_path / "half"
    shutil.copytree(folder, there)
    other = FOLDERS["low" if expert == "high" else "high"]
    for file in (there / other).glob("*.safetensors"):
        file.unlink()
    alone = load_backbone(str(there), denoiser_only=True, expert=expert)
    assert alone.denoisers().keys() == {FOLDERS[expert]}
    own = WanTransformer3DModel.from_pretrained(folder, subfolder=FOLDERS[expert]).state_dict()
    assert all(torch.equal(v, own[k]) for k, v in alone.denoiser.state_dict().items())
    with pytest.raises(ValueError, match="holds no weights"):
        load_backbone(str(there), denoiser_only=True)


@pytest.mark.parametrize("expert", EXPERTS)
def test_only_its_timesteps_are_drawn(expert: str, folder: Path, pairs: SampledPairs) -> None:
    from sipo.train.policy import Policy

    for given in ({}, {"timestep_distribution": "logit-normal"}):
        settings = settings_of(expert, timesteps_per_pair=40, **given)
        alone = load_backbone(str(folder), denoiser_only=True, expert=expert)
        drawn = PairSource(Policy(alone, settings), pairs, settings).draw(range(2)).timesteps
        assert {int(t) in alone.timesteps for t in drawn} == {True}
        assert int(drawn.max() - drawn.min()) > len(alone.timesteps) // 2


def test_a_lora_of_one_is_plain_diffusers_and_both_are_a_folder(
    runs: Path, folder: Path, whole: Any
) -> None:
    plain, before = WanPipeline.from_pretrained(folder), clip(whole)
    for expert, weights in (("low", runs / "low"), ("high", runs)):
        with safe_open(str(runs / expert / LORA_FILE), "pt") as file:
            assert file.metadata()["expert"] == expert
        plain.load_lora_weights(runs / expert, load_into_transformer_2=expert == "low")
        ours = load_backbone(str(folder), weights=weights)
        after = clip(ours)
        assert_same_picture(plain_clip(plain, "a cat", 1, SAMPLER), after)
        assert_other_picture(before, after)
        before = after
    of = [runs, runs / "high", runs / "low"]
    alone = [load_backbone(str(folder), weights=one, denoiser_only=True) for one in of]
    hashes = [one.weights_sha256() for one in (*alone, whole)]
    assert len(set(hashes)) == 4
    assert hashes[0] == ours.weights_sha256()


def test_a_card_says_into_which(runs: Path) -> None:
    said = {
        expert: loading_code(runs / expert, runs, "owner/name", "WanPipeline", "a cat", {}, 16)
        for expert in EXPERTS
    }
    assert "load_lora_weights(weights, load_into_transformer_2=True)" in said["low"]
    assert "load_lora_weights(weights)" in said["high"]


def test_all_weights_of_one(folder: Path, pairs: SampledPairs, tmp_path: Path) -> None:
    alone = load_backbone(str(folder), denoiser_only=True, expert="low")
    train(settings_of("low", tmp_path, full=True, learning_rate=0.01), alone, pairs)
    plain = WanPipeline.from_pretrained(folder)
    plain.transformer_2 = WanTransformer3DModel.from_pretrained(tmp_path, subfolder="transformer_2")
    ours = load_backbone(str(folder), weights=tmp_path)
    assert_same_picture(plain_clip(plain, "a cat", 1, SAMPLER), clip(ours))


def test_a_run_goes_on_from_a_lora_of_its_own_expert(
    runs: Path, folder: Path, pairs: SampledPairs, tmp_path: Path
) -> None:
    def begun(init: Path) -> None:
        alone = load_backbone(str(folder), denoiser_only=True, expert="low")
        out = tmp_path / f"again-{init.name}"
        train(settings_of("low", out, init_weights=str(init)), alone, pairs)

    with pytest.raises(ValueError, match="is a LoRA of the expert 'high', and this one is 'low'"):
        begun(runs / "high")
    with pytest.raises(ValueError, match=r"has weights of experts \(high, low\).*give '.*high'"):
        begun(runs)
    begun(unlabelled(runs / "low", tmp_path))  # --expert says what the file does not
    begun(runs / "low")


def unlabelled(run: Path, folder: Path) -> Path:
    """As other tools write it."""
    save_file(load_file(run / LORA_FILE), folder / "lora.safetensors")
    return folder / "lora.safetensors"


def test_a_lora_goes_into_no_other_expert(
    runs: Path, folder: Path, whole: Any, tmp_path: Path
) -> None:
    bare = unlabelled(runs / "low", tmp_path)
    with pytest.raises(ValueError, match=r"does not say which expert of .*high/ or low/"):
        load_backbone(str(folder), weights=bare)
    (tmp_path / "named" / "low").mkdir(parents=True)
    bare.rename(tmp_path / "named" / "low" / "lora.safetensors")
    named = load_backbone(str(folder), weights=tmp_path / "named", denoiser_only=True)
    said = load_backbone(str(folder), weights=runs / "low", denoiser_only=True)
    assert named.weights_sha256() == said.weights_sha256()

    shutil.copytree(runs / "low", tmp_path / "wrong" / "high")
    with pytest.raises(ValueError, match="is a LoRA of the expert 'low', and this one is 'high'"):
        load_backbone(str(folder), weights=tmp_path / "wrong")
    other = str(tiny_wan(tmp_path / "tiny-wan"))
    with pytest.raises(ValueError, match=r"of the expert 'low', and .* has no experts"):
        load_backbone(other, weights=runs / "low")
    with pytest.raises(ValueError, match=r"has weights of experts \(high, low\)"):
        load_backbone(other, weights=runs)
    with pytest.raises(ValueError, match="--expert 'low' is for a model of several denoisers"):
        load_backbone(other, expert="low")
    with pytest.raises(ValueError, match="--expert 'low' is for a model of several denoisers"):
        trained_timesteps(settings_of("low"), load_backbone(other, denoiser_only=True))


def test_what_a_run_of_one_expert_cannot_be(folder: Path, whole: Any) -> None:
    low = whole.chosen("low")
    for backbone, expert, more, said in (
        (whole, None, {}, r"--expert is missing: .* high \(874:1000\), low \(0:874\)"),
        (low, "high", {}, "--expert 'high' is to be trained, and the model was loaded for 'low'"),
        (low, "low", {"train_timesteps": "800:900"}, "is not within .*'low' of .* 0:874"),
        (low, "low", {"objective": "d3po"}, "--objective 'd3po' learns from whole chains"),
    ):
        with pytest.raises(ValueError, match=said):
            trained_timesteps(settings_of(expert, **more), backbone)
    within = settings_of("low", train_timesteps="100:874")
    assert trained_timesteps(within, low) == range(100, 874)


def test_guidance_that_would_change_nothing_is_refused(whole: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--guidance-2 3 has no effect with --guidance 1"):
        whole.sized(Sampler(guidance=1.0, guidance_2=3.0))
    one = load_backbone(str(tiny_wan(tmp_path / "tiny-wan")))
    with pytest.raises(ValueError, match=r"--guidance-2 3 is of a second denoiser"):
        one.sample(["a cat"], [0], Sampler(guidance=2.0, guidance_2=3.0))


def test_half_a_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    for more, said in (
        ({"transformer_2": [None, None]}, "lacks its transformer_2"),
        ({"boundary_ratio": 1.5}, "divides its timesteps at 1.5"),
    ):
        (tmp_path / "model_index.json").write_text(json.dumps(index | more))
        for expert in ("", "low"):
            with pytest.raises(ValueError, match=said):
                load_backbone(str(tmp_path), expert=expert)

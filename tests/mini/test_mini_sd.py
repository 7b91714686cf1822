"""The embedded mini-sd: plain diffusers samples from it, and it draws what it is asked for."""

from pathlib import Path

import pytest
import torch
from alike import assert_other_picture, assert_same_picture
from diffusers import StableDiffusionPipeline

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone
from sipo.feedback.prompts.mini_prompts import CLASSES, mini_suite
from sipo.feedback.registry import load_judge
from sipo.weights import weights_folder


@pytest.fixture(scope="module")
def mini_sd() -> Backbone:
    return load_backbone("mini-sd")


def test_plain_diffusers_gives_the_same_image(mini_sd: Backbone) -> None:
    plain = StableDiffusionPipeline.from_pretrained(weights_folder("mini-sd"))
    plain.set_progress_bar_config(disable=True)
    text, sampler = "a photo of a red car", mini_sd.default_sampler
    ours, other = mini_sd.sample([text, text], [5, 6], sampler)
    theirs = plain(
        text,
        generator=torch.Generator().manual_seed(5),
        num_inference_steps=sampler.steps,
        guidance_scale=sampler.guidance,
    ).images[0]
    assert_same_picture(ours.image, theirs)
    assert_other_picture(other.image, theirs)


def test_it_draws_single_objects(mini_sd: Backbone) -> None:
    """16 prompts, one image each: far above chance, as both the judge and the evaluator see it."""
    prompts = [p for p in mini_suite() if p.tag == "single_object"]
    samples = mini_sd.sample([p.text for p in prompts], [3] * 16, mini_sd.default_sampler)
    for name in ("yolo-world", "mini-evaluator"):
        verdicts = load_judge(name, None, CLASSES).judge([s.image for s in samples], prompts)
        assert sum(v.correct for v in verdicts) >= 12, name


def test_the_weights_are_safetensors_and_small() -> None:
    root = weights_folder("mini-sd").parent
    files = [path for path in root.rglob("*") if path.is_file()]
    assert not [p for p in files if p.suffix in (".pt", ".bin", ".pkl", ".ckpt")]
    assert sum(path.stat().st_size for path in files) < 40e6
    for name in ("mini-sd", "yolo-world-mini", "evaluator"):
        assert (Path(root) / name / "README.md").is_file()

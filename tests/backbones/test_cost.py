"""The table of counted operations: what the networks do, and the rates that were measured."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from sipo.backbones.cost.cards import MEASURED_ON, SAMPLED, TFLOPS, TRAINED_PAIRS_S
from sipo.backbones.cost.counted import MODELS, Counted, counted
from sipo.backbones.cost.rate import Device, counted_rate

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
H100 = Device("h100", TFLOPS[MEASURED_ON])
IMAGES_S = {"SD 1.5": 2.49, "SDXL 1.0": 0.470, "FLUX.1-dev": 0.189, "CogVideoX 2B": 0.0290}
IMAGES_S |= {"Wan 2.1 1.3B": 0.0144}
"""docs/log.md, "the first card"."""
BY_NAME = {model.name: model for model in MODELS}
QUICK = "SD 1.5"
ALL = [
    pytest.param(model, marks=() if model.name == QUICK else pytest.mark.slow, id=model.name)
    for model in MODELS
]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("model", ALL)
def test_the_table_is_what_the_networks_compute(
    model: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted on the meta device at the published size, and at half its height."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import torch
    from published import MODELS as PUBLISHED
    from published import SCHEDULE
    from sizes import family_of, forward_operations

    published = next(one for one in PUBLISHED if one.name == model.name)
    family = family_of(published)
    with torch.device("meta"):
        denoiser = family.denoiser_class(**published.config)
    backbone = family(model.name, denoiser, SCHEDULE)
    assert (published.source, published.pipeline) == (model.source, model.pipeline)
    assert published.latents == model.latents
    assert sum(map(math.prod, published.prompt.values())) == model.text_values
    config = json.loads(json.dumps(dict(denoiser.config)))
    assert {name: config[name] for name in model.architecture} == model.architecture
    *before, high, wide = model.latents
    sizes = [model.latents, (*before, high // 4 * 2, wide)]
    for latents in sizes[model.name == QUICK :]:
        asked = dataclasses.replace(published, latents=latents)
        assert forward_operations(asked, backbone) == model.forward(latents)


@pytest.mark.parametrize("name", IMAGES_S)
def test_what_was_measured_comes_out(name: str) -> None:
    rate = counted_rate(BY_NAME[name], H100)
    assert 1 / rate.image_s == pytest.approx(IMAGES_S[name], rel=0.02)
    assert rate.sources[1].startswith("measured")


@pytest.mark.parametrize("name", TRAINED_PAIRS_S)
def test_so_do_the_trainings(name: str) -> None:
    rate = counted_rate(BY_NAME[name], H100)
    assert 1 / rate.pair_s == pytest.approx(TRAINED_PAIRS_S[name])


def test_forty_thousand_of_flux_are_sixty_hours() -> None:
    hours = 40_000 * counted_rate(BY_NAME["FLUX.1-dev"], H100).image_s / 3600
    assert 50 < hours < 75


def test_every_model_has_a_rate_and_says_what_is_assumed() -> None:
    for model in MODELS:
        rate = counted_rate(model, H100)
        assert rate.image_s > 0
        assert rate.sources[1].startswith("measured") == (model.name in SAMPLED)
        assert rate.sources[2].startswith("measured") == (model.name in TRAINED_PAIRS_S)
    other = counted_rate(MODELS[0], Device("a100", TFLOPS["a100"]))
    assert all(not source.startswith("measured") for source in other.sources)


def test_half_the_peak_takes_twice_as_long_and_unguided_half() -> None:
    model = BY_NAME["SDXL 1.0"]
    whole = counted_rate(model, H100).image_s
    half = Device("half", H100.tflops / 2)
    assert counted_rate(model, half).image_s == pytest.approx(2 * whole)
    assert counted_rate(model, H100, guidance=1.0).image_s < 0.55 * whole
    assert counted_rate(model, H100, steps=25).image_s < 0.55 * whole


def test_folders_are_known_by_their_config_files(tmp_path: Path) -> None:
    flux = BY_NAME["FLUX.1-dev"]
    (tmp_path / "transformer").mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": flux.pipeline}))
    config = tmp_path / "transformer" / "config.json"
    config.write_text(json.dumps({**flux.architecture, "axes_dims_rope": [16, 56, 56]}))
    assert counted(str(tmp_path)) == flux
    config.write_text(json.dumps({**flux.architecture, "num_layers": 2}))
    assert counted(str(tmp_path)) is None
    config.write_text(json.dumps({**flux.architecture}))
    index = {"_class_name": flux.pipeline, "is_distilled": True}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert counted(str(tmp_path)) is None
    config.write_text("{")
    assert counted(str(tmp_path)) is None
    wan = BY_NAME["Wan 2.2 A14B"]
    config.write_text(json.dumps(dict(wan.architecture)))
    for more, found in (({"boundary_ratio": 0.875}, wan), ({}, None)):  # Wan 2.1 14B is like it
        (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": wan.pipeline} | more))
        assert counted(str(tmp_path)) == found
    assert counted(flux.source) == flux
    assert counted("nobody/nothing") is None

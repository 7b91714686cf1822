"""--compile, --cache and --fp8: what they make of real denoisers, and where they are refused."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from alike import assert_same_values
from diffusers.hooks._helpers import TransformerBlockRegistry
from tiny_flux import tiny_flux
from tiny_qwen_image import tiny_qwen_image
from tiny_video import tiny_cogvideox, tiny_wan
from torch import Tensor, nn
from written_prompts import write_prompts

from sipo.backbones import faster
from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.blocks import blocks_of, names_of_blocks
from sipo.backbones.faster import refuse_unavailable, speed_up
from sipo.backbones.fitting import sample_fitting
from sipo.backbones.registry import FAMILIES, load_backbone
from sipo.backbones.settings import whole_cache
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.prompts import grammar
from sipo.geneval.evaluate import evaluate, plan
from sipo.geneval.settings import EvalSettings
from sipo.loop.attempts import BASE, Attempt
from sipo.loop.settings import LoopSettings
from sipo.loop.stage_settings import evaluation, shards

CPU = torch.device("cpu")
STEPS = 8
CACHES_FAIL = {"Flux2KleinPipeline"}
"""diffusers 0.42.1's first-block cache wants two outputs of its single blocks, which give one."""
MAKERS: dict[str, Callable[[Path], Path]] = {
    "flux": tiny_flux,
    "qwen_image": tiny_qwen_image,
    "wan": tiny_wan,
    "cogvideox": tiny_cogvideox,
}


@pytest.fixture(scope="module", params=MAKERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(MAKERS[request.param](tmp_path_factory.mktemp("faster") / request.param))


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_flux(tmp_path_factory.mktemp("faster") / "flux"))


def made(backbone: Backbone, sampler: Sampler, *texts: str) -> list[Tensor]:
    return [m.latents for m in sample_fitting(backbone, texts, range(len(texts)), sampler)]


def asked(backbone: Backbone, **given: Any) -> Sampler:
    row = backbone.default_sampler.model_dump() | {"steps": STEPS} | given
    return Sampler.model_validate(row)


def counted(backbone: Backbone) -> list[int]:
    """Attentions of the last block that were computed, in a list of one number."""
    count = [0]

    def called(*_: object) -> None:
        count[0] += 1

    *_, last = blocks_of(backbone.denoiser)
    attention = next(m for name, m in last.named_modules() if name.endswith("to_q"))
    attention.register_forward_hook(called)
    return count


@pytest.mark.parametrize(
    ("none", "much"), [("first-block=0", "first-block=9"), ("taylorseer=1", "taylorseer=4")]
)
def test_a_cache_skips_blocks_and_remembers_nothing_between_pictures(
    folder: str, none: str, much: str
) -> None:
    plain = load_backbone(folder)
    every = counted(plain)
    whole = made(plain, asked(plain), "a red cat", "two dogs")
    for cache, skips in ((none, False), (much, True)):
        backbone = load_backbone(folder)
        count, sampler = counted(backbone), asked(backbone, cache=cache)
        speed_up(backbone, sampler)
        first = made(backbone, sampler, "a red cat", "two dogs")
        calls = every[0] * (2 if sampler.alone else 1)  # pictures are sampled one by one
        if skips:
            assert count[0] < 0.7 * calls
            assert not torch.allclose(first[0], whole[0], atol=1e-4)
        else:
            assert count[0] == calls
            assert_same_values(torch.stack(first), torch.stack(whole))
        assert_same_values(made(backbone, sampler, "a red cat")[0], first[0])
        assert_same_values(made(backbone, sampler, "a bus", "two dogs")[1], first[1])


def test_a_call_that_ends_in_the_middle_leaves_no_cache(flux: str) -> None:
    backbone: Any = load_backbone(flux)
    sampler = asked(backbone, cache="first-block=9")
    speed_up(backbone, sampler)
    before = made(backbone, sampler, "a red cat")
    steps = iter([None] * 3)

    def fail(*_: object) -> None:
        if next(steps, 0) == 0:
            raise RuntimeError("in the middle")

    handle = backbone.denoiser.proj_out.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        made(backbone, sampler, "two dogs")
    handle.remove()
    assert torch.equal(made(backbone, sampler, "a red cat")[0], before[0])


@pytest.mark.parametrize("pipeline", FAMILIES)
def test_every_family_has_blocks_to_compile_and_says_whether_it_has_caches(pipeline: str) -> None:
    module, name = FAMILIES[pipeline].split(":")
    kind: Any = getattr(import_module(module), name)
    blocks = names_of_blocks(kind.denoiser_class)
    assert blocks
    TransformerBlockRegistry._register()
    registered = {known.__name__ for known in TransformerBlockRegistry._registry}
    calls = inspect.getsource(kind.pipeline_class.__call__)
    told = "cache_context" in calls and hasattr(kind.denoiser_class, "enable_cache")
    known = told and bool(registered & set(blocks)) and pipeline not in CACHES_FAIL
    assert kind.step_caches == known


def test_a_family_without_caches_is_one_sentence(tiny_backbone: Backbone) -> None:
    says = r"--cache first-block=0.05 is nothing that diffusers has for .*tiny-sd' \(family stable"
    with pytest.raises(ValueError, match=says):
        speed_up(tiny_backbone, asked(tiny_backbone, cache="first-block"))


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("first-block", "first-block=0.05"),
        ("first-block=0.080", "first-block=0.08"),
        ("first-block=0", "first-block=0"),
        ("taylorseer", "taylorseer=5"),
        ("taylorseer=3", "taylorseer=3"),
    ],
)
def test_a_cache_is_recorded_whole(text: str, whole: str) -> None:
    assert whole_cache(text) == whole_cache(whole) == whole
    assert Sampler(cache=text).model_dump()["cache"] == whole


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("teacache", "choose one of first-block, taylorseer"),
        ("first-block=-1", "takes a threshold of 0 or more"),
        ("first-block=nan", "takes a threshold"),
        ("first-block=", "takes a threshold"),
        ("taylorseer=1.5", "takes 1, 2, 3, ... steps"),
        ("taylorseer=0", "takes 1, 2, 3"),
    ],
)
def test_no_such_cache(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GenerateSettings.model_validate({"cache": text})


def test_what_is_off_is_in_no_json() -> None:
    assert Sampler().model_dump().keys() == {"steps", "guidance", "height", "width"}
    assert not {"compile", "cache", "fp8"} & LoopSettings().config().keys()


def test_a_folder_tells(flux: str, tmp_path: Path) -> None:
    """And another cache is refused in it, before a model is loaded."""
    write_prompts([grammar.single_object("cat")], tmp_path / "prompts.jsonl")
    given: dict[str, Any] = {"prompts": tmp_path / "prompts.jsonl", "judge": "fake", "workers": 1}
    given |= {"backbone": flux, "cache": "first-block=0.1"}
    generate(GenerateSettings(**given, candidates=2, out=tmp_path / "shards"), progress=False)
    given["images_per_prompt"] = 1
    evaluate(EvalSettings(**given, out=tmp_path / "eval"))
    for folder in ("shards", "eval"):
        config = json.loads((tmp_path / folder / "config.json").read_text())
        assert config["sampler"]["cache"] == "first-block=0.1"
        assert not {"compile", "fp8"} & config["sampler"].keys()
    with pytest.raises(ValueError, match=r"with --cache first-block=0.1, this command says first-"):
        plan(EvalSettings(**given | {"cache": "first-block"}, out=tmp_path / "eval"))


def test_a_loop_passes_them_on() -> None:
    given = {"compile": True, "cache": "taylorseer=3", "fp8": True}
    settings = LoopSettings.model_validate(given)
    assert given.items() <= settings.config().items()
    for stage in (shards(settings, Attempt(1), None), evaluation(settings, BASE)):
        assert given.items() <= stage.model_dump().items()


def test_compiled_blocks_sample_the_same(flux: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a LoRA on them and a cache in them; weights keep their names and hash.

    Traced in earnest and run by "eager": inductor's C++ takes a minute.
    """
    original, compiled = torch.compile, []

    def eagerly(function: Any, **given: Any) -> Any:
        compiled.append((type(function.__self__).__name__, given))
        return original(function, backend="eager")

    monkeypatch.setattr(torch, "compile", eagerly)
    sampled = []
    for given in ({}, {"compile": True}):
        backbone: Any = load_backbone(flux)
        with_lora(backbone)
        sampler = asked(backbone, cache="first-block=0.1", **given)
        before = backbone.weights_sha256()
        speed_up(backbone, sampler)
        assert backbone.weights_sha256() == before
        sampled += made(backbone, sampler, "a red cat")
    assert_same_values(*sampled)
    kinds = ["FluxTransformerBlock", "FluxTransformerBlock", "FluxSingleTransformerBlock"]
    assert compiled == [(kind, {}) for kind in kinds]


def with_lora(backbone: Any) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    inject_adapter_in_model(config, backbone.denoiser)


def test_a_machine_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_unavailable(CPU, False, False, "float32", "no", False)
    monkeypatch.setattr(faster.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=r"--compile on 'cpu' needs a C\+\+ compiler"):
        refuse_unavailable(CPU, True, False, "float32", "no", False)
    monkeypatch.setattr(faster.shutil, "which", lambda name: "/usr/bin/g++")
    monkeypatch.setattr(faster, "find_spec", lambda name: None)
    refuse_unavailable(CPU, True, False, "float32", "no", False)
    with pytest.raises(ValueError, match="on a card Triton too"):
        refuse_unavailable(torch.device("cuda"), True, False, "float32", "no", False)


@pytest.mark.parametrize(
    ("device", "capability", "library", "asked", "said"),
    [
        ("cpu", (9, 0), True, ("bfloat16", "no", False), "compute capability 8.9"),
        ("cuda", (8, 0), True, ("bfloat16", "no", False), "compute capability 8.9"),
        ("cuda", (9, 0), False, ("bfloat16", "no", False), "--fp8 needs torchao"),
        ("cuda", (8, 9), True, ("float32", "no", False), "--dtype float32 was given"),
        ("cuda", (8, 9), True, ("bfloat16", "int8", False), "--quantize int8 was given"),
        ("cuda", (8, 9), True, ("bfloat16", "no", True), "--offload was given"),
        ("cuda", (8, 9), True, ("bfloat16", "no", False), None),
    ],
)
def test_where_there_is_no_fp8(
    device: str,
    capability: tuple[int, int],
    library: bool,
    asked: tuple[str, str, bool],
    said: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(faster, "find_spec", lambda name: library or None)
    if said is None:
        refuse_unavailable(torch.device(device), False, True, *asked)
        return
    with pytest.raises(ValueError, match=said):
        refuse_unavailable(torch.device(device), False, True, *asked)


def test_fp8_is_of_the_blocks_linear_layers(flux: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchao is asked for its dynamic float8, and not for a LoRA's matrices."""
    backbone: Any = load_backbone(flux)
    with_lora(backbone)
    taken: set[int] = set()
    with fake_torchao(monkeypatch, taken):
        speed_up(backbone, asked(backbone, fp8=True))
    names = {name for name, module in backbone.denoiser.named_modules() if id(module) in taken}
    assert "transformer_blocks.0.attn.to_q.base_layer" in names
    assert "single_transformer_blocks.0.proj_mlp" in names
    assert not [name for name in names if "lora_" in name or "transformer_blocks" not in name]


@contextmanager
def fake_torchao(monkeypatch: pytest.MonkeyPatch, taken: set[int]) -> Iterator[None]:
    class Config:
        pass

    def quantize(
        model: nn.Module, config: object, wanted: Callable[[nn.Module, str], bool]
    ) -> None:
        assert isinstance(config, Config)
        taken.update(id(module) for name, module in model.named_modules() if wanted(module, name))

    module: Any = ModuleType("torchao.quantization")
    module.Float8DynamicActivationFloat8WeightConfig, module.quantize_ = Config, quantize
    monkeypatch.setitem(sys.modules, "torchao", ModuleType("torchao"))
    monkeypatch.setitem(sys.modules, "torchao.quantization", module)
    yield

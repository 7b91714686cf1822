"""The card of a run, what is pushed of it, and the forms that other programs load."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from hub_stand_in import TOKEN, Hub, stand_in
from memory_pairs import MemoryPairs
from safetensors.torch import load_file

from sipo.backbones.base import LORA_FILE
from sipo.backbones.loading.kohya import Update, Updates, to_kohya, updates_of
from sipo.backbones.registry import load_backbone
from sipo.train.cli import main
from sipo.train.settings import make_settings
from sipo.train.sharing.model_card import Evaluation, Picture, write_model_card
from sipo.train.trainer import train

# of httpx, which huggingface_hub calls so
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def given(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("shared") / "my-run"
    small = {"max_train_steps": 2, "train_batch_size": 2, "rank": 2, "lora_alpha": 4, "seed": 3}
    small |= {"report_to": "none", "learning_rate": 0.05, "backbone": str(tiny_folder)}
    return small | {"out": str(out), "mask": False, "hub_datasets": ["me/pairs"]}


@pytest.fixture(scope="module")
def finished(given: dict[str, Any]) -> Path:
    """A run of two steps; no test writes to it."""
    again(given)
    return Path(given["out"])


def again(given: dict[str, Any], **more: Any) -> None:
    backbone = load_backbone(given["backbone"], denoiser_only=True)
    train(make_settings(given | more), backbone, MemoryPairs(5))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    with stand_in() as there:
        monkeypatch.setattr(constants, "ENDPOINT", there.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield there


def head_of(card: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(card.read_text("utf-8").split("---")[1]))


def picture(folder: Path, name: str) -> Any:
    """What the card's own lines make, run beside the folder that they name."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert code is not None
    lines = code[1].replace('image.save("picture.png")', "")
    lines = re.sub(
        r"'a photo of a dog'", "'a photo of a dog', num_inference_steps=2, " + name, lines
    )
    scope: dict[str, Any] = {"torch": torch}
    exec(lines, scope)
    return scope


def test_the_card(finished: Path) -> None:
    head = head_of(finished / "README.md")
    assert head["library_name"] == "diffusers"
    assert head["license"] == "unknown"  # the tiny base has no card
    assert head["datasets"] == ["me/pairs"]
    assert {"lora", "text-to-image", "diffusers", "stable-diffusion", "sipo"} <= set(head["tags"])
    assert "base_model" not in head  # no hub id: it would name another model
    text = (finished / "README.md").read_text()
    assert "A LoRA of `tiny-sd`" in text
    assert "| `learning_rate` | 0.05 |" in text
    assert "2 steps, 4 pairs seen" in text
    assert "unknown: its card was not at hand" in text
    assert "It answers to no trigger word" in text


def test_its_lines_load_the_policy_in_plain_diffusers(
    finished: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tiny-sd` is a folder beside; all that is added is a seed and two steps."""
    monkeypatch.chdir(tiny_folder.parent)
    scope = picture(finished, "generator=torch.Generator().manual_seed(0)")
    layers = [name for name, _ in scope["pipe"].unet.named_parameters() if "lora_B" in name]
    assert layers
    assert scope["image"].size[0] > 0


def test_a_base_of_the_hub_and_what_a_loop_adds(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The licence that the base's card says, and no other; pictures, gains, lineage."""
    from sipo.backbones.loading import about_model

    run = tmp_path / "round-2" / "train"
    (run / "pictures").mkdir(parents=True)
    made = json.loads((finished / "run.json").read_text())
    made["settings"] |= {"backbone": "owner/model", "init_weights": str(finished)}
    (run / "run.json").write_text(json.dumps(made))
    (run / LORA_FILE).write_bytes((finished / LORA_FILE).read_bytes())
    base_card = "---\nlicense: other\nlicense_name: own\nlicense_link: https://own.example\n---\n"
    monkeypatch.setattr(about_model, "card_of_model", lambda name: base_card)
    shown = [Picture("a cat [x](y)", "pictures/00-before.png", "pictures/00-after.png")]
    seen = Evaluation(gains=[("Overall", "0.1", "0.3", "+0.2", "+0.1 to +0.3")], pictures=shown)
    card = write_model_card(run, evaluation=seen)
    head, text = head_of(card), card.read_text()
    assert (head["base_model"], head["base_model_relation"]) == ("owner/model", "adapter")
    assert [head[f"license{part}"] for part in ("", "_name", "_link")] == [
        *("other", "own", "https://own.example")
    ]
    assert head["widget"] == [{"text": "a cat [x](y)", "output": {"url": "pictures/00-after.png"}}]
    assert "| Overall | 0.1 | 0.3 | +0.2 | +0.1 to +0.3 |" in text
    assert r"a cat \[x\](y)" in text
    assert "| `my-run` | sipo | 2 |" in text  # the lineage
    assert str(tmp_path) not in text.replace(run.as_posix(), "")


def test_comfyui_and_fused_are_the_same_policy(
    finished: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read by plain diffusers: the UNet's words about one input, to float tolerance."""
    for form in ("comfyui", "fused", "diffusers"):
        words = ["export", str(finished), "--format", form, "--out", str(tmp_path / form)]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
    file = tmp_path / "comfyui" / "my-run.safetensors"
    keys = load_file(file)
    assert all(key.startswith("lora_unet_") for key in keys)
    assert {key.partition(".")[2] for key in keys} == {
        *("lora_down.weight", "lora_up.weight", "alpha")
    }
    monkeypatch.chdir(tiny_folder.parent)
    assert 'weight_name="my-run.safetensors"' in (tmp_path / "comfyui" / "README.md").read_text()
    assert head_of(tmp_path / "fused" / "README.md")["tags"].count("lora") == 0
    said = {
        form: unet_says(tmp_path / form, tiny_folder) for form in ("comfyui", "fused", "diffusers")
    }
    plain = unet_says(None, tiny_folder)
    assert not torch.allclose(plain, said["diffusers"], atol=1e-3)
    for form in ("comfyui", "fused"):
        assert torch.allclose(said[form], said["diffusers"], atol=1e-5), form


def unet_says(folder: Path | None, base: Path) -> Any:
    from diffusers import StableDiffusionPipeline

    fused = folder is not None and folder.name == "fused"
    pipe = StableDiffusionPipeline.from_pretrained(folder if fused else base)
    if folder is not None and not fused:
        name = next(path.name for path in folder.glob("*.safetensors"))
        pipe.load_lora_weights(str(folder), weight_name=name)
    chance = torch.Generator().manual_seed(0)
    noisy = torch.randn(1, 4, 8, 8, generator=chance)
    width = pipe.unet.config.cross_attention_dim
    words = torch.randn(1, 3, width, generator=chance)
    with torch.no_grad():
        return pipe.unet(noisy, torch.tensor([500]), words).sample


def test_what_cannot_be_exported_is_refused(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ["--out", str(tmp_path / "out")]
    monkeypatch.setattr(
        "sipo.train.sharing.export_policy.pipeline_class", lambda base: "WanPipeline"
    )
    refused = CliRunner().invoke(main, ["export", str(finished), "--format", "comfyui", *out])
    assert (refused.exit_code, "is a WanPipeline" in refused.output) == (2, True)
    refused = CliRunner().invoke(main, ["export", str(tmp_path), *out])
    assert (refused.exit_code, "is no run folder" in refused.output) == (2, True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="ranks or alphas of their own"):
        updates_of({}, {"alpha_pattern": {"to_q": 2}})
    for layer in ("x_embedder", "transformer_blocks.0.strange"):
        with pytest.raises(ValueError, match=layer.rpartition(".")[2]):
            to_kohya({layer: Update(torch.ones(1, 2), torch.ones(2, 1), 1.0)}, "FluxPipeline")


def update(rows: int, width: int, seed: int) -> Update:
    chance = torch.Generator().manual_seed(seed)
    return Update(
        torch.randn(2, width, generator=chance), torch.randn(rows, 2, generator=chance), 0.5
    )


def acts(up: Any, down: Any, scale: float = 1.0) -> Any:
    """What an update makes of one vector: two that agree there are equal, but for chance."""
    chance = torch.Generator().manual_seed(0)
    return scale * (up @ (down @ torch.randn(down.shape[1], generator=chance)))


def test_flux_is_read_back_by_diffusers_as_it_was() -> None:
    """At FLUX's own width, which diffusers' reader has in it; also where v alone is changed."""
    from diffusers import FluxPipeline

    size, block = 3072, "transformer_blocks.0.attn"
    names = "to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "to_add_out"
    layers: Updates = {f"{block}.{name}": update(size, size, s) for s, name in enumerate(names)}
    layers["single_transformer_blocks.1.attn.to_v"] = update(size, size, 9)
    layers["single_transformer_blocks.1.proj_out"] = update(size, 5 * size, 10)
    written = to_kohya(layers, "FluxPipeline")
    assert "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight" in written
    read = FluxPipeline.lora_state_dict(dict(written))
    for key in [key for key in read if key.endswith(".lora_A.weight")]:
        name = key.removeprefix("transformer.").removesuffix(".lora_A.weight")
        seen = acts(read[key.replace("lora_A", "lora_B")], read[key])
        if one := layers.pop(name, None):
            assert torch.allclose(seen, acts(one.up, one.down, one.scale), atol=1e-3), name
        else:
            assert float(seen.abs().max()) == 0, name
    assert not layers


def test_sdxl_is_read_back_by_diffusers_as_it_was() -> None:
    """Whose reader keeps alphas apart, and old names for attention."""
    from diffusers import StableDiffusionXLPipeline

    block = "unet.down_blocks.1.attentions.0.transformer_blocks.0"
    old = {
        "attn1.to_q": f"{block}.attn1.processor.to_q_lora",
        "attn2.to_out.0": f"{block}.attn2.processor.to_out_lora",
    }
    layers = {name: update(6, 4, seed) for seed, name in enumerate(old)}
    unet = {f"{block.removeprefix('unet.')}.{name}": one for name, one in layers.items()}
    written = to_kohya(unet, "StableDiffusionXLPipeline")
    shape = Namespace(layers_per_block=2)
    read, alphas = StableDiffusionXLPipeline.lora_state_dict(dict(written), unet_config=shape)
    for name, key in old.items():
        down, up, one = read[f"{key}.down.weight"], read[f"{key}.up.weight"], layers[name]
        scale = alphas[f"{key}.down.weight.alpha"] / len(down)
        assert torch.allclose(acts(up, down, scale), acts(one.up, one.down, one.scale)), name


def test_push_to_hub(finished: Path, given: dict[str, Any], hub: Hub, capsys: Any) -> None:
    """A finished run is only pushed; again sends nothing; of this machine nothing goes with it."""
    again(given, push_to_hub=True, hub_private=True)
    there = hub.repos["models/me/my-run"]
    assert hub.private["models/me/my-run"]
    assert there.keys() == {LORA_FILE, "log.jsonl", "README.md"}
    assert there[LORA_FILE] == (finished / LORA_FILE).read_bytes()
    assert b'weights = "me/my-run"' in there["README.md"]
    assert str(finished.parent).encode() not in b"".join(there.values())
    assert TOKEN not in capsys.readouterr().out
    before = len(hub.commits)
    words = ["push", str(finished), "--repo-id", "me/my-run", "--private"]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, "0 of 3 files were new" in done.output) == (0, True), done.output
    assert len(hub.commits) == before
    for path in finished.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()


def test_nothing_is_pushed_that_was_not_asked_for(
    finished: Path, given: dict[str, Any], hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    again(given, hub_model_id="me/elsewhere")
    done = CliRunner().invoke(main, ["push", str(finished), "--repo-id", "me/x", "--dry-run"])
    assert (done.exit_code, "to the model 'me/x' (public" in done.output) == (0, True)
    refused = CliRunner().invoke(main, ["push", str(tmp_path), "--repo-id", "me/x"])
    assert (refused.exit_code, "is no finished run" in refused.output) == (2, True)
    assert hub.repos == {}
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ValueError, match=r"--push_to_hub 'later': the hub refuses \(401"):
        again(given | {"out": str(tmp_path / "later")}, push_to_hub=True)
    assert not list((tmp_path / "later").glob("checkpoint-*"))  # said before any work

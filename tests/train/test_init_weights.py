"""--init_weights: LoRAs of other tools, with and without --full, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lora_files import Update, diffusers_names, kohya_names, updates, write

from sipo.backbones.registry import load_backbone
from sipo.train.policy import Policy
from sipo.train.settings import make_settings

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


@pytest.fixture
def changed(tiny_backbone: Any) -> list[Update]:
    return updates(tiny_backbone.pipeline, "unet", ATTENTION, rank=2, alpha=2.0)


def policy(folder: Path, weights: Path, **given: Any) -> Policy:
    asked = {"init_weights": str(weights), "rank": 2, "data": ["x"]} | given
    return Policy(load_backbone(str(folder), denoiser_only=True), make_settings(asked))


def update_of(made: Policy, layer: str) -> torch.Tensor:
    """What the policy adds to a layer's weight."""
    module = made.denoiser.get_submodule(layer)
    return module.get_delta_weight("default").detach()  # type: ignore[no-any-return]


def test_a_lora_of_another_tool_is_where_training_starts(
    tiny_folder: Path, tmp_path: Path, changed: list[Update]
) -> None:
    files = {
        "kohya": kohya_names(changed, {"unet": "lora_unet_"}),
        "bare": diffusers_names(changed, ""),
        "diffusers": diffusers_names(changed),
    }
    for name, tensors in files.items():
        file = write(tmp_path / f"{name}.safetensors", tensors)
        made = policy(tiny_folder, file)
        for one in changed:
            torch.testing.assert_close(update_of(made, one.layer), one.delta)


def test_full_training_starts_from_it_too(
    tiny_folder: Path, tmp_path: Path, tiny_backbone: Any
) -> None:
    """Alphas of its own: the network is the base with W + s B A."""
    changed = updates(tiny_backbone.pipeline, "unet", ATTENTION, rank=2, alpha=5.0)
    file = write(tmp_path / "a.safetensors", kohya_names(changed, {"unet": "lora_unet_"}))
    made = policy(tiny_folder, file, full=True)
    for one in changed:
        base = tiny_backbone.denoiser.get_submodule(one.layer).weight
        torch.testing.assert_close(
            made.denoiser.get_submodule(one.layer).weight.data, base.data + one.delta
        )


def test_what_is_not_this_runs_lora_says_which_values_are(
    tiny_folder: Path, tmp_path: Path, tiny_backbone: Any, changed: list[Update]
) -> None:
    pipeline = tiny_backbone.pipeline
    other = updates(pipeline, "unet", ("to_q",), rank=4)
    text = changed + updates(pipeline, "text_encoder", ("q_proj",))
    ranks = [*updates(pipeline, "unet", ATTENTION[1:], rank=2), *other]
    for tensors, complaint, given in [
        (
            diffusers_names(changed),
            r"\(rank 2, alpha 2\) .*give --rank 2 --lora_alpha 2",
            {"rank": 8},
        ),
        (diffusers_names(changed), r"give --rank 2 --lora_alpha 2", {"lora_alpha": 4}),
        (
            diffusers_names(other),
            r"does not change .*to_k.* give --lora_targets to_q,",
            {"rank": 4},
        ),
        (
            diffusers_names(changed),
            r"changes .*to_k.* give --lora_targets to_k,to_out.0,to_q,to_v",
            {"lora_targets": "to_q"},
        ),
        (diffusers_names(ranks), r"layers of ranks 2, 4, and a run has one", {}),
        (
            diffusers_names(text),
            r"also changes text_encoder \('.*q_proj.*give a LoRA of the unet",
            {},
        ),
        (diffusers_names(text), r"also changes text_encoder", {"full": True}),
        (
            {
                "transformer.x.lora_A.weight": torch.ones(2, 2),
                "transformer.x.lora_B.weight": torch.ones(2, 2),
            },
            r"its tensor 'transformer\.x\.lora_A\.weight' belongs to none of its layers",
            {},
        ),
    ]:
        file = write(tmp_path / "a.safetensors", tensors)
        with pytest.raises(ValueError, match=rf"--init_weights '.*a.safetensors'.*{complaint}"):
            policy(tiny_folder, file, **given)

"""Names that libraries do not promise: where one of them goes, this says whose code to look at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from accelerate.state import AcceleratorState
from diffusers import DiffusionPipeline, FluxTransformer2DModel, StableDiffusionPipeline
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import is_traceable_wrapper_subclass


def a_lora_layer() -> BaseTunerLayer:
    network = FluxTransformer2DModel(
        num_layers=1,
        num_single_layers=0,
        attention_head_dim=8,
        num_attention_heads=1,
        in_channels=4,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        axes_dims_rope=(2, 2, 4),
    )
    network.add_adapter(LoraConfig(r=1, target_modules=["to_q"]))
    return next(layer for layer in network.modules() if isinstance(layer, BaseTunerLayer))


USED: dict[str, tuple[str, Callable[[], object]]] = {
    "AcceleratorState._reset_state": (
        "train/build.py",
        lambda: AcceleratorState._reset_state,
    ),
    "DistributedDataParallel._set_params_and_buffers_to_ignore_for_model": (
        "train/policy.py",
        lambda: DistributedDataParallel._set_params_and_buffers_to_ignore_for_model,
    ),
    "DiffusionPipeline._execution_device": (
        "backbones/pipeline.py",
        lambda: DiffusionPipeline._execution_device,
    ),
    "StableDiffusionPipeline._lora_loadable_modules": (
        "backbones/pipeline.py",
        lambda: StableDiffusionPipeline._lora_loadable_modules,
    ),
    "is_traceable_wrapper_subclass": (
        "backbones/loading/quantized.py",
        lambda: is_traceable_wrapper_subclass,
    ),
}


@pytest.mark.parametrize("name", USED)
def test_a_private_name_is_there(name: str) -> None:
    file, find = USED[name]
    assert find(), f"{name} is gone, which {file} uses"


def test_switches_of_a_lora_layer_are_attributes() -> None:
    """train/policy.py sets them, since peft's own switches also change what is trained."""
    layer = a_lora_layer()
    assert layer._disable_adapters is False
    assert layer._active_adapter in ("default", ["default"])
    assert layer.active_adapters == ["default"]
    layer._active_adapter = ["other"]
    assert layer.active_adapters == ["other"]

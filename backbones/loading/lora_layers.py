"""The names that tools give to a LoRA's tensors, and which layer of which model each is for.

A tensor's name is a layer's and a role's. The layer is found among the model's own: by its dotted
name (diffusers, peft, ai-toolkit) or with underscores for dots (kohya). What other models call
their layers (SDXL's sgm, FLUX's BFL) diffusers converts first; see lora.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Role = Literal["A", "B", "alpha", "bias", "magnitude"]

ROLES: dict[str, Role] = {
    ".lora_A.weight": "A",
    ".lora_B.weight": "B",
    ".lora_A.default.weight": "A",  # an adapter's name inside: a peft model's own state dict
    ".lora_B.default.weight": "B",
    ".lora_down.weight": "A",
    ".lora_up.weight": "B",
    ".lora.down.weight": "A",
    ".lora.up.weight": "B",
    ".lora_linear_layer.down.weight": "A",
    ".lora_linear_layer.up.weight": "B",
    ".down.weight": "A",  # diffusers before 0.22, XLabs: attn1.processor.to_q_lora.down.weight
    ".up.weight": "B",
    ".alpha": "alpha",
    ".lora_B.bias": "bias",
    ".lora_magnitude_vector": "magnitude",  # DoRA
    ".lora_magnitude_vector.weight": "magnitude",
    ".lora_magnitude_vector.default.weight": "magnitude",
}
_BY_LENGTH = sorted(ROLES, key=len, reverse=True)
_WRAPPED = "base_model.model."  # peft's wrapper around the model
TEXT = ("text_encoder", "lora_te")
"""How names of a text encoder's half begin."""
_KOHYA = {"unet": ("lora_unet_",), "transformer": ("lora_unet_", "lora_transformer_")}
_KOHYA |= {"text_encoder": ("lora_te_", "lora_te1_"), "text_encoder_2": ("lora_te2_",)}
_TURNED = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}
"""diffusers' older names of a text encoder's attention."""


@dataclass(frozen=True)
class Place:
    component: str  # of the pipeline: "unet", "text_encoder", ...
    layer: str
    role: Role


def split_role(key: str) -> tuple[str, Role] | None:
    """A layer as the file calls it, and a role; None for a tensor that is no LoRA's."""
    for ending in _BY_LENGTH:
        if key.endswith(ending):
            return key.removesuffix(ending), ROLES[ending]
    return None


def is_of_text(key: str) -> bool:
    return key.removeprefix(_WRAPPED).startswith(TEXT)


class Layers:
    """The layers of one component, by every name that a file may use for them."""

    def __init__(self, component: str, names: Iterable[str], default: bool = False) -> None:
        """`default`: names without a component are of this one."""
        self.component = component
        self._dotted = {name: name for name in names if name}
        self._flat = {name.replace(".", "_"): name for name in self._dotted}
        self._default = default

    def find(self, name: str) -> str | None:
        """The model's own name of the layer, None where it has none such."""
        name = name.removeprefix(_WRAPPED)
        for prefix in _KOHYA.get(self.component, ()):
            if name.startswith(prefix):
                return self._lookup(self._flat, name.removeprefix(prefix))
        if name.startswith(f"{self.component}."):
            return self._lookup(self._dotted, name.removeprefix(f"{self.component}."))
        return self._lookup(self._dotted, name) if self._default else None

    def _lookup(self, table: Mapping[str, str], name: str) -> str | None:
        return next((table[tried] for tried in _spellings(name) if tried in table), None)


def _spellings(name: str) -> list[str]:
    """As it is; as attention processors had it; as transformers calls it, with or without the
    `text_model` that it dropped."""
    plain = name.replace(".processor.", ".").removesuffix("_lora")
    found = [name, plain, f"{plain}.0"]  # to_out is to_out.0
    head, _, last = plain.rpartition(".")
    if last in _TURNED:
        found.append(f"{head}.{_TURNED[last]}")
    shorter = [f.removeprefix("text_model.").removeprefix("text_model_") for f in found]
    return [*found, *shorter, *(f"text_model.{f}" for f in found)]


def place_of(key: str, components: Iterable[Layers]) -> Place | None:
    """Where a tensor belongs; None where no layer of the model is meant."""
    if (split := split_role(key)) is None:
        return None
    name, role = split
    for component in components:
        if (layer := component.find(name)) is not None:
            return Place(component.component, layer, role)
    return None

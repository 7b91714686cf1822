"""LoRA files of every tool, loaded whole or not at all.

A file goes through three steps, and after the last each of its tensors is a parameter of the model:
its names become the model's own (diffusers' converters help), its alphas go into its B, and what
the model has afterwards is compared with that. How large the update is, the sum over layers of
||s B A||^2 (Frobenius), no renaming changes; splitting a fused layer's rows does not either.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sipo.backbones.loading.lora_layers import Layers, Role, is_of_text, place_of, split_role
from sipo.backbones.loading.trained_weights import PEFT_CONFIG
from sipo.common.files.strict_json import load_json
from sipo.common.files.tensor_files import AGAIN, not_finite, read_header, read_tensors
from sipo.common.quiet_libraries import quiet

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline
    from peft import LoraConfig

FORMS = (
    "LoRAs load in the layouts of diffusers, peft and kohya, and in others that diffusers converts"
)
ADAPTER = "default_0"  # as diffusers calls the first
METADATA = "lora_adapter_metadata"  # diffusers', in a file's header
SAME = 1e-3  # relative; half precision rounds what a converter scales
_TENSORS: dict[Role, str] = {
    "A": "lora_A.weight",
    "B": "lora_B.weight",
    "bias": "lora_B.bias",
    "magnitude": "lora_magnitude_vector",
}


@dataclass(frozen=True)
class Lora:
    """`tensors` are peft's names by component; `config` is peft's where the file has it.

    Without, alpha is the rank: the file's own is in B already.
    """

    tensors: Mapping[str, Mapping[str, Tensor]]
    config: Mapping[str, Mapping[str, object]]

    def changes_nothing(self) -> bool:
        return not any(size_of(own) for own in self.tensors.values())

    def refuse_others_than(self, networks: Collection[str], what: str) -> None:
        """Raises ValueError for tensors of a model that is not among them: a text encoder."""
        for component, tensors in self.tensors.items():
            if component not in networks:
                raise ValueError(
                    f"{what} also changes {component} ({next(iter(tensors))!r}), which is not "
                    f"trained or saved here; give a LoRA of the {next(iter(networks))} alone"
                )


def read_lora(
    file: Path,
    option: str,
    networks: Mapping[str, nn.Module],
    pipeline_class: type[DiffusionPipeline],
) -> Lora:
    """The LoRA of a file, in the names of `networks` (by component, the denoiser first).

    Raises ValueError for what is no LoRA, is not finite, or is for layers that are not there; it
    names the first such tensor.
    """
    what = f"{option} {str(file)!r}"
    tensors = read_tensors(file, option)
    if (broken := not_finite(tensors)) is not None:
        raise ValueError(f"{what}: {broken!r} is not finite (NaN or infinity); give a sound file")
    if dora := next((key for key in tensors if key.endswith("dora_scale")), None):
        raise ValueError(
            f"{what}: {dora!r} is a DoRA in the layout of another tool, which diffusers does not "
            f"load; {FORMS}"
        )
    config = {} if any(key.endswith(".alpha") for key in tensors) else _config(file, networks)
    scaled = fold_alphas(tensors, what)
    layers = [Layers(n, _names(m), i == 0) for i, (n, m) in enumerate(networks.items())]
    if len(networks) == 1:  # a denoiser alone: the text's half is to be refused by name, not lost
        layers += [_AnyText("text_encoder"), _AnyText("text_encoder_2")]
    placed, unknown = _place(scaled, layers)
    if unknown is not None:
        converted = _converted(scaled, pipeline_class, next(iter(networks.values())))
        placed, still = _place(converted, layers)
        if (lost := _lost(scaled, converted)) is not None:
            unknown = lost
        # A configuration speaks of the old names.
        elif still is None and placed and not config and _as_large(scaled, placed):
            return Lora(placed, config)
        raise ValueError(
            f"{what} is no LoRA for this {pipeline_class.__name__}: its tensor {unknown!r} "
            f"belongs to none of its layers; {FORMS}"
        )
    return Lora(placed, config)


def fold_alphas(tensors: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """The same update with every alpha equal to its rank: B becomes alpha / rank B.

    Alphas stay, for converters that ask for them. Raises ValueError for half a layer.
    """
    result = dict(tensors)
    for name, roles in _by_layer(tensors).items():
        if (missing := {"A", "B"} - roles.keys()) and roles.keys() != {"alpha"}:
            lacks, first = missing.pop(), next(iter(roles.values()))
            raise ValueError(
                f"{what}: layer {name!r} has {first!r} and lacks its lora_{lacks}; get it again"
            )
        if "alpha" in roles and not missing:
            alpha, rank = tensors[roles["alpha"]], len(tensors[roles["A"]])
            up = tensors[roles["B"]]
            result[roles["B"]] = up.float() * (float(alpha) / max(rank, 1))
            result[roles["alpha"]] = torch.tensor(float(rank))
    return result


def size_of(tensors: Mapping[str, Tensor]) -> float:
    """Sum over layers of ||B A||^2 = tr(B^T B A A^T), in float64."""
    total = 0.0
    for roles in _by_layer(tensors).values():
        if "A" in roles and "B" in roles:
            down, up = (tensors[roles[r]].double().flatten(1) for r in ("A", "B"))
            total += float(((up.T @ up) * (down @ down.T)).sum())
    return total


def attach(network: nn.Module, tensors: Mapping[str, Tensor], config: LoraConfig) -> None:
    """Put it in as peft does, then compare: every tensor is there, with its value."""
    from peft import inject_adapter_in_model, set_peft_model_state_dict

    wanted = dict(tensors)
    inject_adapter_in_model(config, network, adapter_name=ADAPTER, state_dict=wanted)
    set_peft_model_state_dict(network, wanted, adapter_name=ADAPTER)
    network.eval()  # without its dropout
    require_applied(network, wanted)


def require_applied(network: nn.Module, wanted: Mapping[str, Tensor]) -> None:
    """Raises KeyError for a tensor that did not become the network's."""
    from peft.utils import get_peft_model_state_dict

    there = get_peft_model_state_dict(network, adapter_name=ADAPTER)
    for name, tensor in wanted.items():
        mine = there.get(name)
        if mine is None or not torch.equal(mine.cpu(), tensor.to(mine.dtype)):
            raise KeyError(f"{name} was not applied")


def peft_config(tensors: Mapping[str, Tensor], given: Mapping[str, object] | None) -> LoraConfig:
    """As the file's maker wrote it; else ranks are those of the tensors, and so are the alphas."""
    from peft import LoraConfig

    if given:
        return LoraConfig(**given)
    ranks = {k.removesuffix(".lora_A.weight"): len(t) for k, t in tensors.items() if "lora_A" in k}
    rank = next(iter(ranks.values()))
    others = {f"^{name}": own for name, own in ranks.items() if own != rank}
    return LoraConfig(
        r=rank,
        lora_alpha=rank,
        rank_pattern=others,
        alpha_pattern=dict(others),
        target_modules=list(ranks),
        use_dora=any("magnitude" in key for key in tensors),
        lora_bias=any(key.endswith(".bias") for key in tensors),
    )


class _AnyText(Layers):
    """A text encoder that is not loaded: what is for it is told by its name alone."""

    def __init__(self, component: str) -> None:
        super().__init__(component, ())

    def find(self, name: str) -> str | None:
        second = name.startswith(("text_encoder_2", "lora_te2_"))
        return name if is_of_text(name) and second == (self.component[-1] == "2") else None


def _place(
    tensors: Mapping[str, Tensor], layers: list[Layers]
) -> tuple[dict[str, dict[str, Tensor]], str | None]:
    """By component in peft's names, and the first tensor that belongs nowhere."""
    placed: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if (place := place_of(key, layers)) is None:
            if (split := split_role(key)) is not None and split[1] == "alpha":
                continue  # of a converter: all are the ranks, see `fold_alphas`
            return {}, key
        if place.role != "alpha":
            own, name = (
                placed.setdefault(place.component, {}),
                f"{place.layer}.{_TENSORS[place.role]}",
            )
            if name in own:  # two tensors for one place
                return {}, key
            own[name] = tensor
    return placed, None


def _converted(
    tensors: Mapping[str, Tensor], pipeline_class: type[DiffusionPipeline], denoiser: nn.Module
) -> Mapping[str, Tensor]:
    """By diffusers' own converters; {} where they know no such names."""
    further = (
        {"unet_config": denoiser.config} if pipeline_class.__name__.endswith("XLPipeline") else {}
    )
    try:
        with quiet("diffusers.loaders", logging.CRITICAL):
            result = pipeline_class.lora_state_dict(dict(tensors), **further)
    except Exception:  # whatever they raise for names that they do not know
        return {}
    return result[0] if isinstance(result, tuple) else result  # type: ignore[no-any-return]


def _lost(before: Mapping[str, Tensor], converted: Mapping[str, Tensor]) -> str | None:
    """The first tensor that is no LoRA's (a bias, a norm) and that a converter left out."""
    kept = {id(tensor) for tensor in converted.values()}
    others = (key for key in before if split_role(key) is None)
    return next((key for key in others if id(before[key]) not in kept), None)


def _as_large(before: Mapping[str, Tensor], placed: Mapping[str, Mapping[str, Tensor]]) -> bool:
    """Nothing was lost or scaled on the way."""
    sizes = size_of(before), sum(size_of(own) for own in placed.values())
    layers = len(_by_layer(before)), sum(len(_by_layer(own)) for own in placed.values())
    return abs(sizes[0] - sizes[1]) <= SAME * sizes[0] and layers[1] >= layers[0]


def _by_layer(tensors: Mapping[str, Tensor]) -> dict[str, dict[Role, str]]:
    """Of every layer that has a LoRA the names of its tensors."""
    found: dict[str, dict[Role, str]] = {}
    for key in tensors:
        if (split := split_role(key)) is not None:
            found.setdefault(split[0], {})[split[1]] = key
    return found


def _names(network: nn.Module) -> list[str]:
    """Of linear layers, convolutions and the like: what has a matrix."""
    weights = ((name, getattr(module, "weight", None)) for name, module in network.named_modules())
    return [name for name, weight in weights if isinstance(weight, Tensor) and weight.ndim > 1]


def _config(file: Path, networks: Mapping[str, nn.Module]) -> dict[str, dict[str, object]]:
    """peft's configuration by component: in the header as diffusers puts it, or beside the file."""
    text = read_header(file, "weights").metadata.get(METADATA)
    if text is not None:
        whole = _parsed(text, file)
        return {
            name: own
            for name in (*networks, "text_encoder", "text_encoder_2")
            if (
                own := {k[len(name) + 1 :]: v for k, v in whole.items() if k.startswith(f"{name}.")}
            )
        }
    beside = file.parent / PEFT_CONFIG
    if not beside.is_file():
        return {}
    return {next(iter(networks)): _parsed(beside.read_bytes(), beside)}


def _parsed(text: str | bytes, file: Path) -> dict[str, object]:
    try:
        return dict(load_json(text))
    except (ValueError, TypeError):
        raise ValueError(f"the LoRA's configuration in {str(file)!r} is damaged; {AGAIN}") from None

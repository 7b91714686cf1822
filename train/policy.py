"""The network that is trained, and the frozen ones its rewards and weights are measured against.

LoRA: the base is the same network with its adapter switched off, the policy training started from
another frozen adapter. Full fine-tuning: each is a frozen copy, kept only where it is asked for.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import torch
from accelerate.utils import AutocastKwargs
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sipo.backbones.base import LORA_FILE, Backbone, Conditioning
from sipo.backbones.loading.lora_files import METADATA
from sipo.backbones.loading.trained_weights import EXPERT, find_weights
from sipo.backbones.loading.unread import copied, fuse
from sipo.backbones.placement import lay_out
from sipo.common.files.stored_tensors import StoredTensor
from sipo.common.files.urls import place_of
from sipo.common.files.writing import atomic
from sipo.train.distributed.fsdp import copy_rows, save_whole, shard, whole_on_main
from sipo.train.lora_linear import use_fewer_passes
from sipo.train.settings import TrainSettings, keeps_reference

if TYPE_CHECKING:
    from accelerate import Accelerator
    from diffusers import ModelMixin

ADAPTER = "default"
INIT = "--init_weights"
WHOLE_FILE = "diffusion_pytorch_model.safetensors"
"""diffusers' name, of one file however large."""

Frozen = Literal["base", "init", "moving"]
"""The base model, the policy of --init_weights, or the trained policy's moving average."""
Network = Literal["trained"] | Frozen
COPIES: tuple[Frozen, ...] = ("init", "moving")
"""Begin as the policy does: LoRAs of these names, or with --full networks."""
ADAPTERS: dict[Network, str | None] = {"trained": ADAPTER, "base": None}
ADAPTERS |= {name: name for name in COPIES}
"""Which LoRA acts in which network."""


class Policy:
    """`network` is what the optimizer sees, possibly wrapped; `denoiser` the module inside."""

    def __init__(
        self, backbone: Backbone, settings: TrainSettings, behaviour: Frozen | None = None
    ) -> None:
        """Trains `backbone.denoiser` in place, which has the base model's weights until now.

        `behaviour` is who sampled the data, where the importance weights ask for it.
        Raises ValueError for LoRA targets that do not exist, initial weights that do not fit.
        """
        self.backbone = backbone
        self.denoiser: ModelMixin = backbone.denoiser
        self.full, self.shard_weights = settings.full, settings.shard_weights
        self.sharded = False
        self.reference, self.behaviour = settings.reference, behaviour
        self.has_reference = keeps_reference(settings)
        self.copies: dict[str, nn.Module] = {}  # full: frozen networks by name
        self.autocast: Callable[[], AbstractContextManager[object]] = nullcontext
        # The network stays in eval mode: dropout would make z differ from 0 at policy = reference.
        self.denoiser.requires_grad_(False).eval()
        if settings.full:
            self._start_full(settings)
        else:
            self._start_lora(settings)
            use_fewer_passes(self.denoiser)
        if settings.gradient_checkpointing:
            self.denoiser.enable_gradient_checkpointing()
        self.network: nn.Module = self.denoiser

    def _start_full(self, settings: TrainSettings) -> None:
        needed = self._frozen_networks()
        if "base" in needed:
            self.copies["base"] = copied(self.denoiser)
        if settings.init_weights:
            # The text's half of a LoRA would neither be trained nor saved: it is refused.
            self.backbone.load_weights(place_of(settings.init_weights), INIT, text=False)
            if getattr(self.denoiser, "peft_config", None):
                fuse(self.denoiser)
        self.copies |= {name: copied(self.denoiser) for name in COPIES if name in needed}
        for network in self.copies.values():
            network.requires_grad_(False)
        self.denoiser.requires_grad_(True)

    def _frozen_networks(self) -> set[Frozen | None]:
        return {self.behaviour, self.reference if self.has_reference else None}

    def _start_lora(self, settings: TrainSettings) -> None:
        from peft import LoraConfig

        config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            init_lora_weights="gaussian",
            target_modules=lora_targets(self.backbone, settings.lora_targets),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.denoiser.add_adapter(config, adapter_name=ADAPTER)
        if settings.init_weights:
            self._set_lora(self._read_lora(settings), ADAPTER)
        needed = self._frozen_networks()
        for name in (name for name in COPIES if name in needed):
            with warnings.catch_warnings():  # peft asks whether a second adapter is meant; it is
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")
                self.denoiser.add_adapter(config, adapter_name=name)
            self._set_lora(self._lora(ADAPTER), name)
            self.denoiser.set_adapter(ADAPTER)
        self._float32_adapters()

    def _float32_adapters(self) -> None:
        """Also over a base in half precision: AdamW's steps are smaller than bf16 can hold."""
        for name, parameter in self.denoiser.named_parameters():
            if "lora_" in name:
                parameter.data = parameter.data.float()

    def _read_lora(self, settings: TrainSettings) -> dict[str, Tensor]:
        """The weights of an earlier run's or another tool's LoRA, which must have this shape."""
        file = find_weights(settings.init_weights, INIT).lora
        if file is None:
            raise ValueError(
                f"{INIT} {settings.init_weights!r} holds a whole model; a LoRA on top of it would "
                "not load onto the base model. Train with --full"
            )
        name = self.backbone.lora_prefix
        lora = self.backbone.read_lora(file, INIT)
        weights, config = dict(lora.tensors.get(name, {})), lora.config.get(name)
        require_shape(self._lora(ADAPTER), weights, config, settings)
        return weights

    def _lora(self, adapter: str) -> dict[str, Tensor]:
        from peft.utils import get_peft_model_state_dict

        return cast(
            dict[str, Tensor], get_peft_model_state_dict(self.denoiser, adapter_name=adapter)
        )

    def _set_lora(self, weights: dict[str, Tensor], adapter: str) -> None:
        from peft.utils import set_peft_model_state_dict

        set_peft_model_state_dict(self.denoiser, weights, adapter_name=adapter)

    @property
    def device(self) -> torch.device:
        return cast(torch.device, next(self.denoiser.parameters()).device)

    def trainable(self) -> dict[str, nn.Parameter]:
        """By name, of the unwrapped network."""
        named = self.denoiser.named_parameters()
        return {name: parameter for name, parameter in named if parameter.requires_grad}

    def moving_reference(self) -> dict[str, Tensor]:
        """Its weights by the names of `trainable`; none where the reference does not move."""
        if "moving" not in self._frozen_networks():
            return {}
        if self.full:
            return dict(self.copies["moving"].named_parameters())
        named, suffix = dict(self.denoiser.named_parameters()), f".{ADAPTER}."
        return {name: named[name.replace(suffix, ".moving.")] for name in self.trainable()}

    def state_dict(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.trainable().items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor | StoredTensor]) -> None:
        parameters = self.trainable()
        assert parameters.keys() <= state.keys()
        for name, parameter in parameters.items():
            copy_rows(parameter, state[name])

    def prepare(self, accelerator: Accelerator) -> None:
        """Onto the device; divided or wrapped where there are several processes."""
        self.sharded = self.shard_weights and accelerator.num_processes > 1
        if self.sharded:  # or every block's half-precision copy would stay until the last one's
            every_time = AutocastKwargs(cache_enabled=False)
            self.autocast = partial(accelerator.autocast, every_time)
            for network in (self.denoiser, *self.copies.values()):
                shard(network, accelerator.device, accelerator.mixed_precision)
            return
        self.backbone.to(accelerator.device)
        for network in (self.denoiser, *self.copies.values()):
            network.to(accelerator.device)
            lay_out(network, accelerator.device)
        self.autocast = accelerator.autocast
        if accelerator.num_processes > 1:
            # Every process has loaded the frozen ones; quantized, they could not be sent.
            frozen = [n for n, value in self.denoiser.named_parameters() if not value.requires_grad]
            ignore: Callable[[nn.Module, list[str]], None] = (
                DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
            )
            ignore(self.denoiser, frozen)
            self.network = accelerator.prepare_model(self.denoiser)

    def predict(
        self, which: Network, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """`Backbone.predict` by the trained network, or by a frozen one and without gradient."""
        frozen = which != "trained"
        if self.full:
            network = self.copies[which] if frozen else self.network
        else:
            network = self.denoiser if frozen else self.network
            self._use(ADAPTERS[which])
        with self.autocast(), torch.no_grad() if frozen else nullcontext():
            output = self.backbone.predict(network, noisy, timesteps, conditioning)
        if frozen and not self.full:  # gradient checkpointing computes the policy once more
            self._use(ADAPTER)
        return output

    def _use(self, adapter: str | None) -> None:
        """The adapter that acts from now on. peft's own switches also change `requires_grad`, at
        every layer and twice a step, which a sharded network does not survive.
        """
        from peft.tuners.tuners_utils import BaseTunerLayer

        for layer in self.denoiser.modules():
            if isinstance(layer, BaseTunerLayer):
                layer._disable_adapters = adapter is None
                layer._active_adapter = [adapter or ADAPTER]

    def save(self, folder: Path | None, values: Mapping[str, Tensor]) -> None:
        """As diffusers loads it: LORA_FILE or the denoiser's folder. Replaces what is there.

        `values` are those of `trainable`, or their average. Every process must ask; those that only
        give their share have no folder.
        """
        if self.full:
            self._save_full(folder, values)
        else:
            self._save_lora(folder, values)

    def _save_full(self, folder: Path | None, values: Mapping[str, Tensor]) -> None:
        tensors, name = {**self.denoiser.state_dict(), **values}, self.backbone.denoiser_folder
        if folder is None:
            save_whole(None, tensors)
            return
        target, beside = folder / name, folder / f".{name}.tmp"
        shutil.rmtree(beside, ignore_errors=True)
        self._unsharded().save_config(beside)
        save_whole(beside / WHOLE_FILE, tensors)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(beside, target)

    def _save_lora(self, folder: Path | None, values: Mapping[str, Tensor]) -> None:
        from peft.utils import get_peft_model_state_dict

        name, whole = self.backbone.lora_prefix, {}
        state = get_peft_model_state_dict(self.denoiser, dict(values), adapter_name=ADAPTER)
        for key, value in state.items():
            whole[f"{name}.{key}"] = whole_on_main(value)
        if folder is None:
            return
        config = self.denoiser.peft_config[ADAPTER].to_dict()
        made = json.dumps({f"{name}.{k}": _plain(v) for k, v in config.items()}, sort_keys=True)
        tensors = {k: v.float().contiguous() for k, v in whole.items() if v is not None}
        with atomic(folder / LORA_FILE) as file:  # save_file would make it private to the user
            file.write(save(tensors, {"format": "pt", METADATA: made} | self._of_expert()))

    def _of_expert(self) -> dict[str, str]:
        """For the header: which denoiser a LoRA is of, where the model has several."""
        return {EXPERT: self.backbone.expert} if self.backbone.expert else {}

    def _unsharded(self) -> ModelMixin:
        """The denoiser or, where its class is FSDP's, one that is only good for its name."""
        if not self.sharded:
            return self.denoiser
        with torch.device("meta"):
            return cast(
                "ModelMixin", self.backbone.denoiser_class.from_config(self.denoiser.config)
            )

    @property
    def saved_weights(self) -> Path | None:
        """The file of a saved policy that holds all that is trained, as it is."""
        return Path(self.backbone.denoiser_folder, WHOLE_FILE) if self.full else None


def lora_targets(backbone: Backbone, text: str) -> list[str]:
    """Module names (or their ends) a LoRA goes into; 'all': every linear and convolution."""
    named = [
        name
        for name, module in backbone.denoiser.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    if text == "all":
        return named
    targets = [name.strip() for name in text.split(",") if name.strip()]
    targets = targets or list(backbone.lora_targets)
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in named):
            ends = sorted({name.rpartition(".")[2] for name in named} - set("0123456789"))
            raise ValueError(
                f"--lora_targets {target!r} is no linear or convolution of {backbone.name!r}; "
                f"there are {', '.join(ends)}, or say 'all'"
            )
    return targets


def require_shape(
    here: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    config: Mapping[str, object] | None,
    settings: TrainSettings,
) -> None:
    """Raises ValueError for a LoRA whose layers, ranks or alpha are not those of this run.

    `config` is peft's where the file has it; without, alpha is the rank.
    """
    asked = f"{INIT} {settings.init_weights!r}"
    if here.keys() != weights.keys():
        only = sorted(weights.keys() - here.keys()) or sorted(here.keys() - weights.keys())
        verb = "changes" if weights.keys() - here.keys() else "does not change"
        ends = ",".join(sorted({_end(key) for key in weights}))
        raise ValueError(
            f"{asked} {verb} {only[0]!r}, unlike this run's LoRA; give --lora_targets {ends}, or "
            "a LoRA of this run's layers"
        )
    ranks = {len(value) for key, value in weights.items() if "lora_A" in key}
    rank = (config or {}).get("r", min(ranks))
    alpha = (config or {}).get("lora_alpha", rank)
    if len(ranks) > 1:
        raise ValueError(
            f"{asked} has layers of ranks {', '.join(map(str, sorted(ranks)))}, and a run has one "
            "for all; train with --full, or give another LoRA"
        )
    fits = all(value.shape == weights[key].shape for key, value in here.items())
    if not fits or (rank, alpha) != (settings.rank, settings.alpha):
        raise ValueError(
            f"{asked} has another LoRA (rank {rank}, alpha {alpha:g}) than --rank {settings.rank} "
            f"--lora_alpha {settings.alpha} make; give --rank {rank} --lora_alpha {alpha:g}"
        )


def _end(key: str) -> str:
    """The end of a layer's name that --lora_targets takes: to_q, to_out.0."""
    parts = key.partition(".lora_")[0].split(".")
    return ".".join(parts[-2:] if parts[-1].isdigit() else parts[-1:])


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, set) else value

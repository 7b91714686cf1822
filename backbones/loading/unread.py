"""A denoiser whose weights are still in their files: each is read when it is asked for, or a slice.

Its parameters have shapes and types and no memory: one number each, repeated (stride 0). They are
on the CPU, not on PyTorch's meta device, whither peft would move a LoRA that is put on them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import Tensor, nn

from sipo.backbones.loading.model_folders import weight_files
from sipo.common.files.stored_tensors import StoredTensor, stored_tensors

if TYPE_CHECKING:
    from diffusers import ModelMixin
    from peft.tuners.tuners_utils import BaseTunerLayer

Network = TypeVar("Network", bound=nn.Module)
_WANTED: ContextVar[bool] = ContextVar("unread", default=False)
_PEFT = ".base_layer"  # in the name of a layer that has a LoRA
_STEM = "diffusion_pytorch_model"
_FILES = ("config.json", f"{_STEM}.safetensors", f"{_STEM}.safetensors.index.json")
_PARTS = f"{_STEM}-*.safetensors"


@contextmanager
def unread(wanted: bool = True) -> Iterator[None]:
    """Inside, denoisers are loaded without their weights where their files allow it."""
    token = _WANTED.set(wanted)
    try:
        yield
    finally:
        _WANTED.reset(token)


@dataclass(frozen=True)
class Unread:
    """Where the values of a network's parameters are; its attribute `unread`."""

    stored: Mapping[str, StoredTensor]
    types: Mapping[str, torch.dtype]
    fused: Mapping[str, nn.Module] = field(default_factory=dict)
    """Layers with a LoRA that is to be added, by name."""

    def read(self, name: str, rows: slice = slice(None)) -> Tensor:
        """Rows of a parameter as the network would have it."""
        name = name.replace(_PEFT, "")
        layer, _, kind = name.rpartition(".")
        if layer in self.fused:
            return self._fused(layer, kind)[rows].clone()
        return self._plain(name, rows)

    def _plain(self, name: str, rows: slice = slice(None)) -> Tensor:
        return self.stored[name][rows].to(self.types[name])

    def _fused(self, name: str, kind: str) -> Tensor:
        layer = cast("BaseTunerLayer", _copied(self.fused[name]))
        base = layer.get_base_layer()
        for own, _ in list(base.named_parameters(recurse=False)):
            setattr(base, own, nn.Parameter(self._plain(f"{name}.{own}"), requires_grad=False))
        layer.merge()
        merged: Tensor = getattr(base, kind).detach()
        return merged


def unread_of(network: nn.Module) -> Unread | None:
    found = getattr(network, "unread", None)
    return found if isinstance(found, Unread) else None


class Values(Mapping[str, Tensor]):
    """A network's state dict, of which unread values are read one at a time."""

    def __init__(self, network: nn.Module) -> None:
        self.state, self.unread = network.state_dict(), unread_of(network)

    def __getitem__(self, name: str) -> Tensor:
        value: Tensor = self.state[name]
        return self.unread.read(name) if self.unread and is_unread(value) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)


def is_unread(value: Tensor) -> bool:
    return value.ndim > 0 and value.device.type == "cpu" and not any(value.stride())


def copied(network: Network) -> Network:
    """As `deepcopy`; what is unread stays so."""
    copy_, values = _copied(network), unread_of(network)
    if values is not None:
        replace_parameters(copy_, lambda _, p: p.detach() if is_unread(p) else None)
    return copy_


def _copied(network: Network) -> Network:
    shared: dict[int, object] = {id(p): p for p in network.parameters() if is_unread(p)}
    if (values := unread_of(network)) is not None:
        shared[id(values)] = values
    return copy.deepcopy(network, shared)


def fuse(network: ModelMixin) -> None:
    """Its LoRA becomes part of its weights, as by diffusers' `fuse_lora`, and is gone."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    if (values := unread_of(network)) is None:
        network.fuse_lora()
    else:
        layers = dict(network.named_modules()).items()
        fused = {name: _copied(one) for name, one in layers if isinstance(one, BaseTunerLayer)}
        network.unread = replace(values, fused=fused)
    network.unload_lora()


def load_into(network: ModelMixin, tuned: ModelMixin) -> None:
    """The values of another one. Raises RuntimeError where shapes differ."""
    values, theirs = unread_of(network), unread_of(tuned)
    if values is None:
        network.load_state_dict(tuned.state_dict())
        return
    here, there = ({k: v.shape for k, v in n.state_dict().items()} for n in (network, tuned))
    if here != there:
        name = next(k for k in {**here, **there} if here.get(k) != there.get(k))
        raise RuntimeError(f"{name} has another shape")
    if theirs is None:
        found = dict(tuned.named_parameters())
        replace_parameters(network, lambda name, _: found[name].detach().to(values.types[name]))
    network.unread = None if theirs is None else replace(values, stored=theirs.stored)
    for name, buffer in network.named_buffers():
        buffer.copy_(tuned.get_buffer(name))


def replace_parameters(
    network: nn.Module, made: Callable[[str, nn.Parameter], Tensor | None]
) -> None:
    """Every parameter for which `made` gives another value is a new one."""
    for prefix, module in network.named_modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            value = made(f"{prefix}.{name}" if prefix else name, parameter)
            if value is not None:
                new = nn.Parameter(value, requires_grad=parameter.requires_grad)
                module.register_parameter(name, new)


def load_unread(
    kind: type[ModelMixin], path: str, subfolder: str, options: Mapping[str, object]
) -> ModelMixin | None:
    """None where it is not wanted, or where `from_pretrained` has more to do than to read.

    Of its `options` the dtype is known here.
    """
    dtype = options.get("dtype", torch.float32)
    if not _WANTED.get() or options.get("quantization_config") is not None:
        return None
    if not isinstance(dtype, torch.dtype):
        return None
    folder = _local(path, subfolder)
    config = kind.load_config(folder)
    if config.get("quantization_config"):
        return None
    network, types = _empty(kind, config, dtype)
    stored = {
        name: tensor
        for file in weight_files(folder, str(path))
        for name, tensor in stored_tensors(file, str(path)).items()
    }
    state = network.state_dict()
    if {k: tuple(v.shape) for k, v in state.items()} != {k: v.shape for k, v in stored.items()}:
        return None  # complaints, old names
    if len(state) > len({id(value) for value in network.state_dict(keep_vars=True).values()}):
        return None  # one value by two names
    if not all(value.shape for value in network.parameters()):
        return None
    for name, _ in list(network.named_buffers()):
        if name in stored:  # few, and in the network as `from_pretrained` leaves them
            owner, _, last = name.rpartition(".")
            value = stored[name][:]
            value = value.to(dtype) if value.is_floating_point() else value
            setattr(network.get_submodule(owner), last, value)
    network.register_to_config(_name_or_path=path)
    network.unread = Unread(stored, types)
    return network.eval()


def _local(path: str, subfolder: str) -> Path:
    if Path(path).is_dir():
        return Path(path, subfolder)
    from huggingface_hub import snapshot_download

    wanted = [f"{subfolder}/{name}" for name in (*_FILES, _PARTS)]
    return Path(snapshot_download(path, allow_patterns=wanted), subfolder)


def _empty(
    kind: type[ModelMixin], config: Mapping[str, object], dtype: torch.dtype
) -> tuple[ModelMixin, dict[str, torch.dtype]]:
    """In `dtype` but for what `from_pretrained` keeps in float32."""
    from accelerate import init_empty_weights

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with init_empty_weights():
            network = kind.from_config(config)
    finally:
        torch.set_default_dtype(before)
    kept = set(kind._keep_in_fp32_modules or ())
    types = {
        name: torch.float32 if kept & set(name.split(".")) else dtype
        for name, _ in network.named_parameters()
    }
    replace_parameters(network, lambda name, p: torch.zeros((), dtype=types[name]).expand(p.shape))
    return network, types

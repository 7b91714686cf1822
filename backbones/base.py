"""The backbone convention: one model family behind the coordinates the rest of sipo speaks.

Images are NCHW, video NCFHW; latents are scaled as the denoiser sees them. A candidate is a
function of (weights, prompt, seed, sampler) only: each image has a generator of its own.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, NotRequired, TypedDict

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from sipo.backbones.loading.lora_files import Lora
from sipo.backbones.loading.quantized import stored
from sipo.backbones.loading.trained_weights import LORA_FILE as LORA_FILE
from sipo.backbones.loading.unread import Values
from sipo.backbones.settings import Cache
from sipo.common.files.stored_tensors import as_bytes
from sipo.common.settings import StrictModel

if TYPE_CHECKING:
    from diffusers import ModelMixin
    from diffusers.quantizers.quantization_config import QuantizationConfigMixin as Bits

Prediction = Literal["epsilon", "v_prediction", "sample", "flow"]
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
JOINT_ATTENTION = (*ATTENTION, "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
"""diffusers' names of the linear layers a LoRA goes into; joint with the text's own."""
Schedule = Mapping[str, object]
"""A checkpoint's scheduler configuration."""
Provenance = dict[str, str | None]
"""Name, version and source hash of a part from outside."""
Conditioning = dict[str, Tensor]
"""What the denoiser is conditioned on, by the name of its argument; every tensor is (B, ...)."""


class Sampler(StrictModel):
    """Every setting that a candidate depends on beside weights, prompt and seed."""

    steps: int = Field(default=20, ge=1)
    guidance: float = Field(default=5.0, ge=0)
    guidance_2: float | None = Field(default=None, ge=0, exclude_if=lambda n: n is None)
    """Of a second expert; None: as of the first."""
    height: int | None = None  # pixels; None: the checkpoint's own size
    width: int | None = None
    frames: int | None = Field(default=None, ge=1, exclude_if=lambda n: n is None)  # of a clip
    compile: bool = Field(default=False, exclude_if=lambda on: not on)
    cache: Cache | None = Field(default=None, exclude_if=lambda cache: cache is None)
    fp8: bool = Field(default=False, exclude_if=lambda on: not on)

    @property
    def alone(self) -> bool:
        """Whether a candidate would depend on its batch: that cache goes by the batch's mean."""
        return self.cache is not None and self.cache.startswith("first-block")


@dataclass(frozen=True)
class Generated:
    """One candidate as sampled: `latents` is (C, H, W), of a clip (C, F, H, W); float32, clean, on
    the CPU. A clip has all its `frames`; its `image` is the middle one. Pictures of numbers that
    are not finite are spoiled (sipo.common.pictures.faults)."""

    image: Image.Image
    latents: Tensor
    frames: tuple[Image.Image, ...] = ()


class Identity(TypedDict):
    """Of what sampled a candidate."""

    name: str
    family: str
    weights_sha256: str  # of the denoiser and all adapters
    part: NotRequired[Provenance]


class Backbone(ABC):
    """A diffusers pipeline in sipo's coordinates. `denoiser` is what training changes."""

    family: ClassVar[str]
    lora_targets: ClassVar[tuple[str, ...]]
    denoiser_class: ClassVar[type[ModelMixin]]
    denoiser_folder: str  # its subfolder in a diffusers checkpoint
    step_caches: ClassVar[bool] = False
    """Whether diffusers' caches know its blocks, and its pipeline tells them whose step it is."""

    few_steps: bool = False
    """Whether it was distilled to a few steps, which training it undoes."""
    fps: int | None = None  # frames a second of the clips it makes; None: it makes images
    name: str
    denoiser: ModelMixin
    prediction: Prediction
    num_train_timesteps: int
    default_sampler: Sampler
    experts: Mapping[str, range] = MappingProxyType({})
    """The timesteps of each, of a checkpoint that has several denoisers."""
    expert: str = ""
    """Which of them is `denoiser`, where one was chosen to be trained."""
    part: Provenance | None = None
    """Where its code is from outside."""

    @classmethod
    @abstractmethod
    def load(
        cls, path: str, denoiser_only: bool, dtype: torch.dtype, quantization: Bits | None = None
    ) -> Backbone:
        """From a diffusers folder or hub id. `denoiser_only` skips VAE and text encoders;
        `quantization` is diffusers' configuration for the denoiser."""

    @classmethod
    def load_expert(
        cls,
        path: str,
        expert: str,
        denoiser_only: bool,
        dtype: torch.dtype,
        quantization: Bits | None = None,
    ) -> Backbone:
        """The same with one expert as the denoiser; `denoiser_only` leaves the others in their
        files. Raises ValueError for a checkpoint of one denoiser."""
        raise ValueError(no_experts(path, expert))

    @abstractmethod
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """What the denoiser takes of B texts, rows of one shape whatever the text; "" is the empty
        prompt of guidance. On the device, in the text encoders' dtype, without gradient.
        """

    @abstractmethod
    def encode_images(self, pixels: Tensor) -> Tensor:
        """NCHW in [-1, 1] -> scaled latents (the posterior's mean)."""

    @abstractmethod
    def decode_latents(self, latents: Tensor) -> list[Image.Image]:
        """The image of each row; of a clip the middle frame. One whose numbers are not finite is
        spoiled (sipo.common.pictures.faults)."""

    @abstractmethod
    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """x_t = a_t x_0 + b_t eps; `timesteps` is (B,)."""

    @abstractmethod
    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """What `denoiser` says of (B, ...) latents at (B,) timesteps, in the same shape and the
        checkpoint's parametrisation (`target`).

        `denoiser` is this backbone's own, a copy of it or a wrapper around it. Inputs are of any
        floating dtype, on its device; the answer has the dtype it computes in. Gradients flow.
        """

    @abstractmethod
    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What `predict` is trained towards, in the checkpoint's parametrisation."""

    @abstractmethod
    def snr(self, timesteps: Tensor) -> Tensor:
        """a_t^2 / b_t^2 in float64."""

    def noise_levels(self, steps: int, shape: Sequence[int]) -> Tensor:
        """Of a flow model: the sigmas at which `steps` of sampling ask for latents of `shape`
        (C, ...), from noise down, without the clean end; float64. Even where nothing shifts them.
        """
        return torch.arange(steps, 0, -1, dtype=torch.float64) / steps

    def guidance_scale(self, guidance: float) -> float:
        """g of u + g (c - u), which `guidance` means to its pipeline; 1 where that is c alone."""
        return guidance if guidance > 1 else 1.0

    def rows_a_step(self, guidance: float) -> int:
        """Predictions that its pipeline asks for at each step of a candidate. More than the two of
        `guided`: it guides by more than the prompt."""
        return 1 if self.guidance_scale(guidance) == 1 else 2

    def said_before(self) -> str:
        """What its text encoder hears before a prompt, as text; its tokens are not the prompt's."""
        return ""

    def guided(self, without: Tensor, with_prompt: Tensor, scale: float) -> Tensor:
        """u + g (c - u) of predictions (B, ...) (Ho & Salimans 2022), or what the pipeline makes
        of the two."""
        return without + scale * (with_prompt - without)

    def told_guidance(self, conditioning: Conditioning, guidance: float) -> Conditioning:
        """With what the denoiser is told of guidance, where it is an input."""
        return conditioning

    @abstractmethod
    def sample(
        self, texts: Sequence[str], seeds: Sequence[int], sampler: Sampler
    ) -> list[Generated]:
        """A candidate for each text and seed, guided, without gradient. Noise comes from a CPU
        generator of each seed, so that neither the batch nor the device decides it.
        """

    def sized(self, sampler: Sampler) -> Sampler:
        """With the checkpoint's own side where only the other one is given.

        Raises ValueError for a size that the checkpoint cannot make.
        """
        return sampler

    @abstractmethod
    def load_weights(self, path: Path, option: str = "--weights", text: bool = True) -> None:
        """Put a trained policy in, all of it: a LoRA or a whole denoiser (see weights.py).

        Raises ValueError for weights that are damaged or do not fit; without `text` also for a
        LoRA that changes a text encoder too.
        """

    @abstractmethod
    def read_lora(self, file: Path, option: str, text: bool = False) -> Lora:
        """A LoRA file in the names of this model. Raises ValueError as `load_weights`."""

    def text_adapters(self) -> dict[str, Tensor]:
        """The LoRA of the text encoders, by names that are not the denoiser's."""
        return {}

    def denoisers(self) -> dict[str, ModelMixin]:
        """By subfolder: all experts, or the one that was chosen."""
        return {self.denoiser_folder: self.denoiser}

    @property
    def lora_prefix(self) -> str:
        """How the names of a LoRA's tensors begin, which diffusers has alike for all experts."""
        return type(self).denoiser_folder

    @property
    def timesteps(self) -> range:
        """Those that `denoiser` is asked at."""
        return self.experts.get(self.expert, range(self.num_train_timesteps))

    def to(self, device: torch.device | str) -> None:
        for network in self.denoisers().values():
            network.to(device)

    @abstractmethod
    def offload(self, device: torch.device | str) -> None:
        """Instead of `to`: each model is on `device` only while it computes."""

    def describe(self) -> Identity:
        known = Identity(name=self.name, family=self.family, weights_sha256=self.weights_sha256())
        if self.part is not None:
            known["part"] = self.part
        return known

    def weights_sha256(self) -> str:
        """Over the denoisers as they are now and all adapters: names, shapes and values."""
        digest = hashlib.sha256()
        places = {key: (values, name) for values, key, name in self._hashed()}
        for key in sorted(places):
            values, name = places[key]
            value = values[name]
            digest.update(f"{key}{tuple(value.shape)}".encode())
            for part in stored(value):
                digest.update(as_bytes(part.detach().cpu().contiguous()))
        return digest.hexdigest()

    def _hashed(self) -> Iterator[tuple[Mapping[str, Tensor], str, str]]:
        """Values, under which name they are hashed, and their own."""
        for folder, network in self.denoisers().items():
            values = Values(network)
            before = "" if network is self.denoiser else f"{folder}."
            yield from ((values, f"{before}{name}", name) for name in values)
        text = self.text_adapters()
        yield from ((text, name, name) for name in text)


def no_experts(backbone: str, expert: str) -> str:
    return (
        f"--expert {expert!r} is for a model of several denoisers, and --backbone {backbone!r} has "
        "one; leave it out"
    )


def append_dims(values: Tensor, like: Tensor) -> Tensor:
    """(B,) -> (B, 1, ..., 1) with the dimensions of `like`: images and video in one code."""
    return values.reshape(-1, *[1] * (like.ndim - 1))

"""Checkpoints of two denoisers, each for its own timesteps: experts of high and of low noise.

As diffusers' `WanPipeline` has them: `transformer` is asked where T sigma >= boundary_ratio T,
`transformer_2` below. Our t is T sigma - 1. Whoever samples has both; training loads one.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from diffusers import ModelMixin

from sipo.backbones.base import Sampler, no_experts
from sipo.backbones.flow import FlowBackbone
from sipo.backbones.loading.model_folders import check_pipeline
from sipo.backbones.loading.trained_weights import EXPERTS, expert_of, find_weights, of_experts
from sipo.backbones.pipeline import Dtypes

if TYPE_CHECKING:
    from diffusers.quantizers.quantization_config import QuantizationConfigMixin as Bits

FOLDERS = dict(zip(EXPERTS, ("transformer", "transformer_2"), strict=True))
"""Expert -> subfolder."""


class ExpertsBackbone(FlowBackbone):
    """A family some of whose checkpoints have two. Whole, its `denoiser` is the first of them."""

    def _divide(self, ratio: float, networks: dict[str, ModelMixin]) -> None:
        total = self.num_train_timesteps
        border = ceil(ratio * total) - 1
        self.experts = {"high": range(border, total), "low": range(border)}
        self._networks = networks
        for network in networks.values():
            network.requires_grad_(False).eval()

    @classmethod
    def load(
        cls, path: str, denoiser_only: bool, dtype: Dtypes, quantization: Bits | None = None
    ) -> Self:
        """Both, of a checkpoint that has two."""
        if (ratio := cls._boundary(path)) is None:
            return super().load(path, denoiser_only, dtype, quantization)
        if denoiser_only:
            loaded = [cls._load_one(path, expert, dtype, quantization) for expert in EXPERTS]
            backbone, networks = loaded[0], [one.denoiser for one in loaded]
        else:
            backbone = super().load(path, False, dtype, quantization)
            networks = [getattr(backbone.pipeline, FOLDERS[expert]) for expert in EXPERTS]
        backbone._divide(ratio, dict(zip(EXPERTS, networks, strict=True)))
        return backbone

    @classmethod
    def load_expert(
        cls,
        path: str,
        expert: str,
        denoiser_only: bool,
        dtype: torch.dtype,
        quantization: Bits | None = None,
    ) -> Self:
        if (ratio := cls._boundary(path)) is None:
            raise ValueError(no_experts(path, expert))
        if not denoiser_only:
            return cls.load(path, False, dtype, quantization).chosen(expert)
        backbone = cls._load_one(path, expert, dtype, quantization)
        backbone._divide(ratio, {expert: backbone.denoiser})
        return backbone.chosen(expert)

    @classmethod
    def _load_one(cls, path: str, expert: str, dtype: Dtypes, quantization: Bits | None) -> Self:
        folder = FOLDERS[expert]
        if Path(path).is_dir():
            check_pipeline(Path(path), f"--backbone {path!r}:", (folder, "scheduler"))
        return cls._load_denoiser(path, folder, dtype, quantization)

    @classmethod
    def _boundary(cls, path: str) -> float | None:
        """None for a checkpoint of one denoiser. Raises ValueError for half of two."""
        config = cls.pipeline_class.load_config(path)
        ratio = config.get("boundary_ratio")
        if ratio is None:
            return None
        lacking = [folder for folder in FOLDERS.values() if None in config.get(folder, [None])]
        if lacking or not 0 < ratio < 1:
            what = f"lacks its {lacking[0]}" if lacking else f"divides its timesteps at {ratio}"
            raise ValueError(
                f"--backbone {path!r} is of two denoisers and {what}; give a whole checkpoint"
            )
        return float(ratio)

    @classmethod
    def _denoiser_folders(cls, path: str) -> tuple[str, ...]:
        one = cls._boundary(path) is None
        return super()._denoiser_folders(path) if one else tuple(FOLDERS.values())

    def chosen(self, expert: str) -> Self:
        """The same model, to train or load into this expert: networks are shared."""
        own = copy(self)
        own.expert, own.denoiser = expert, self._networks[expert]
        own.denoiser_folder = FOLDERS[expert]
        return own

    def denoisers(self) -> dict[str, ModelMixin]:
        if self.expert or not self.experts:
            return super().denoisers()
        return {FOLDERS[expert]: network for expert, network in self._networks.items()}

    def load_weights(self, path: Path, option: str = "--weights", text: bool = True) -> None:
        """Into the expert that they are of: as they say themselves, or as their folder is named."""
        if self.expert or not self.experts:
            super().load_weights(path, option, text)
            return
        for expert, place in self._weights_of_experts(path, option):
            self.chosen(expert).load_weights(place, option, text)

    def _weights_of_experts(self, path: Path, option: str) -> Iterator[tuple[str, Path]]:
        if places := of_experts(path):
            yield from places.items()
            return
        found = find_weights(path, option, tuple(FOLDERS.values()))
        if found.whole is not None:
            for expert, folder in FOLDERS.items():
                if (found.whole / folder).is_dir():
                    yield expert, path
            return
        assert found.lora is not None
        if not (expert := expert_of(found.lora, option)):
            raise ValueError(
                f"{option} {str(path)!r} does not say which expert of {self.name!r} it is of; put "
                "it into a folder as high/ or low/, or one of each, and give that folder"
            )
        if expert not in FOLDERS:
            raise ValueError(
                f"{option} {str(path)!r} is of an expert {expert!r}, and {self.name!r} has "
                f"{' and '.join(FOLDERS)}; get it again"
            )
        yield expert, path

    def _call_options(self, sampler: Sampler) -> dict[str, object]:
        options = super()._call_options(sampler)
        if sampler.guidance_2 is not None:
            options["guidance_scale_2"] = sampler.guidance_2
        return options

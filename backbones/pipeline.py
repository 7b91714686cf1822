"""What every family shares: a diffusers pipeline is loaded, called with per-image seeds, tuned.

A family's own file says how it encodes prompts, what its denoiser wants, how it noises latents.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, cast

import torch
from diffusers import DDPMScheduler, DiffusionPipeline, ModelMixin, PipelineQuantizationConfig
from PIL import Image
from torch import Tensor, nn

from sipo.backbones.base import Backbone, Generated, Sampler, Schedule
from sipo.backbones.loading.lora_files import Lora, attach, peft_config, read_lora
from sipo.backbones.loading.model_folders import check_model, check_pipeline
from sipo.backbones.loading.pretrained import fitting, from_pretrained
from sipo.backbones.loading.trained_weights import check_lora, expert_of, find_weights
from sipo.backbones.loading.unread import Values, load_into, unread, unread_of
from sipo.common.files.tensor_files import not_finite
from sipo.common.pictures.faults import spoiled

if TYPE_CHECKING:
    from diffusers.quantizers.quantization_config import QuantizationConfigMixin as Bits

Dtypes = torch.dtype | Mapping[str, torch.dtype]
"""Of all, or by component as diffusers takes them."""
PATCH = 2  # latents a side of what most transformers take as one token
TILED_ABOVE_PX = 1024
"""Sides that a card decodes in tiles: their seams are blended, and memory is that of one tile."""


class PipelineBackbone(Backbone):
    """`pipeline` is None where training loaded the denoiser only."""

    pipeline_class: ClassVar[type[DiffusionPipeline]]
    pipeline_options: ClassVar[dict[str, object]] = {}

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        self.name = name
        self.denoiser = denoiser
        self.dtype: torch.dtype = denoiser.dtype  # kept: training wraps the denoiser
        self.pipeline: DiffusionPipeline | None = None
        self._text_adapters: dict[str, Tensor] = {}

    @classmethod
    def load(
        cls, path: str, denoiser_only: bool, dtype: Dtypes, quantization: Bits | None = None
    ) -> Self:
        """Raises ValueError for a checkpoint that is not whole."""
        what = f"--backbone {path!r}"
        if Path(path).is_dir():
            only = (cls.denoiser_folder, "scheduler") if denoiser_only else ()
            check_pipeline(Path(path), f"{what}:", only)
        if denoiser_only:
            return cls._load_denoiser(path, cls.denoiser_folder, dtype, quantization)
        options = dict(cls.pipeline_options)
        if quantization is not None:
            mapping = dict.fromkeys(cls._denoiser_folders(path), quantization)
            options["quantization_config"] = PipelineQuantizationConfig(quant_mapping=mapping)
        pipeline = from_pretrained(cls.pipeline_class, path, what, "", dtype=dtype, **options)
        return cls.from_pipeline(path, pipeline)

    @classmethod
    def _load_denoiser(
        cls, path: str, folder: str, dtype: Dtypes, quantization: Bits | None = None
    ) -> Self:
        """Of that subfolder, with the scheduler's configuration and nothing else."""
        schedule = DDPMScheduler.load_config(path, subfolder="scheduler")  # any scheduler's
        denoiser = from_pretrained(
            cls.denoiser_class,
            path,
            f"--backbone {path!r}",
            folder,
            dtype=dtype,
            quantization_config=quantization,
        )
        return cls(path, denoiser, dict(schedule))

    @classmethod
    def _denoiser_folders(cls, path: str) -> tuple[str, ...]:
        return (cls.denoiser_folder,)

    @classmethod
    def from_pipeline(cls, name: str, pipeline: DiffusionPipeline) -> Self:
        pipeline.set_progress_bar_config(disable=True)
        denoiser = getattr(pipeline, cls.denoiser_folder)
        backbone = cls(name, denoiser, dict(pipeline.scheduler.config))
        backbone.pipeline = pipeline
        return backbone

    @property
    def _whole(self) -> DiffusionPipeline:
        assert self.pipeline is not None, "loaded with denoiser_only"
        return self.pipeline

    def to(self, device: torch.device | str) -> None:
        super().to(device)
        if self.pipeline is not None:
            self.pipeline.to(device)
            self._decode_one_by_one(torch.device(device))

    def offload(self, device: torch.device | str) -> None:
        """By diffusers' hooks."""
        self._whole.enable_model_cpu_offload(device=device)
        self._decode_one_by_one(torch.device(device))

    def _decode_one_by_one(self, device: torch.device) -> None:
        """On a card, whose memory a batch of 1024 px would fill: three maps of 256 x 1024 x 1024 an
        image, 3 GiB in float32, live at once in the decoder's last block (computed, not measured).
        """
        if device.type != "cpu" and hasattr(self._whole.vae, "enable_slicing"):
            self._whole.vae.enable_slicing()

    def _tile(self, height: int, width: int) -> None:
        """Pixels that the autoencoder is to take in one piece, or on a card in several."""
        if self._device.type != "cpu" and hasattr(vae := self._whole.vae, "enable_tiling"):
            large = max(height, width) > TILED_ABOVE_PX
            (vae.enable_tiling if large else vae.disable_tiling)()

    @property
    def _device(self) -> torch.device:
        """Where the pipeline computes, also while its models wait elsewhere."""
        return cast(torch.device, self._whole._execution_device)

    def _typed(self, values: Tensor) -> Tensor:
        """In the denoiser's dtype; whole numbers and masks as they are."""
        return values.to(self.dtype) if values.is_floating_point() else values

    @torch.no_grad()
    def encode_images(self, pixels: Tensor) -> Tensor:
        self._tile(*pixels.shape[-2:])
        vae = self._whole.vae
        mean = vae.encode(pixels.to(self._device, vae.dtype)).latent_dist.mean
        return self._scaled(mean)

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> list[Image.Image]:
        vae = self._whole.vae
        pixels = self._pixels(latents.to(self._device, vae.dtype))
        images = self._whole.image_processor.postprocess(pixels.nan_to_num(), "pil")
        return [
            spoiled(image, fault_in(*made))
            for image, *made in zip(images, latents, pixels, strict=True)
        ]

    def _pixels(self, latents: Tensor) -> Tensor:
        """As the denoiser sees them -> in [-1, 1]."""
        return cast(Tensor, self._whole.vae.decode(self._unscaled(latents)).sample)

    def _scaled(self, latents: Tensor) -> Tensor:
        """The autoencoder's -> as the denoiser sees them."""
        vae = self._whole.vae
        return cast(Tensor, (latents - _shift(vae)) * vae.config.scaling_factor)

    def _unscaled(self, latents: Tensor) -> Tensor:
        vae = self._whole.vae
        return cast(Tensor, latents / vae.config.scaling_factor + _shift(vae))

    def sized(self, sampler: Sampler) -> Sampler:
        self._check_guidance(sampler)
        if sampler.height is None and sampler.width is None:
            return sampler
        own, step = self._native_size(), self._size_step()
        asked = zip(("height", "width"), (sampler.height, sampler.width), own, strict=True)
        sides = {name: side or native for name, side, native in asked}
        for name, side in sides.items():
            if beyond := side % step:
                least = side - beyond
                raise ValueError(
                    f"--{name} {side} is no multiple of {step}, as {self.name!r} makes them; give "
                    + (f"{least} or {least + step}" if least else str(step))
                )
        return sampler.model_copy(update=sides)

    def _check_guidance(self, sampler: Sampler) -> None:
        """Raises ValueError for a second scale that nothing would ask."""
        if sampler.guidance_2 is None:
            return
        if not self.experts:
            raise ValueError(
                f"--guidance-2 {sampler.guidance_2:g} is of a second denoiser, and {self.name!r} "
                "has one; leave it out"
            )
        if self.guidance_scale(sampler.guidance) == 1 != self.guidance_scale(sampler.guidance_2):
            raise ValueError(
                f"--guidance-2 {sampler.guidance_2:g} has no effect with --guidance "
                f"{sampler.guidance:g}, at which the pipeline guides neither denoiser; give one "
                "above 1, or leave it out"
            )

    def _native_size(self) -> tuple[int, int]:
        """Height and width in pixels that the pipeline takes where none is given."""
        side = self._whole.default_sample_size * self._whole.vae_scale_factor
        return side, side

    def _sides(self, sampler: Sampler) -> tuple[int, int]:
        """Height and width in pixels of what it samples."""
        native = self._native_size()
        return sampler.height or native[0], sampler.width or native[1]

    def _size_step(self) -> int:
        """Pixels: a side is a multiple of it."""
        return int(PATCH * self._whole.vae_scale_factor)

    def sample(
        self, texts: Sequence[str], seeds: Sequence[int], sampler: Sampler
    ) -> list[Generated]:
        sampler = self.sized(sampler)
        return self._generated(self._sample_latents(texts, seeds, sampler))

    def _generated(self, latents: Tensor) -> list[Generated]:
        images = self.decode_latents(latents)
        return [
            Generated(image, row.float().cpu()) for image, row in zip(images, latents, strict=True)
        ]

    @torch.no_grad()
    def _sample_latents(
        self, texts: Sequence[str], seeds: Sequence[int], sampler: Sampler, **more: object
    ) -> Tensor:
        """The pipeline's own call, with `more` arguments. The noise is drawn on the CPU, so that
        devices agree."""
        self._tile(*self._sides(sampler))
        try:
            made = self._whole(
                prompt=list(texts),
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
                num_inference_steps=sampler.steps,
                output_type="latent",
                return_dict=False,
                **self._guidance_options(sampler.guidance),
                **self._call_options(sampler),
                **more,
            )
        except BaseException:  # out of memory or Ctrl-C, after which it is called again
            self._whole.maybe_free_model_hooks()  # ends a call: models wait, caches forget
            raise
        return self._unpacked(self._of_call(made), sampler)

    def _of_call(self, made: Sequence[Tensor]) -> Tensor:
        """The latents among what the pipeline's call returns."""
        return made[0]

    def _guidance_options(self, guidance: float) -> dict[str, object]:
        """How the pipeline's call is told of guidance."""
        return {"guidance_scale": guidance}

    def _call_options(self, sampler: Sampler) -> dict[str, object]:
        """Further arguments of the pipeline's call."""
        return {"height": sampler.height, "width": sampler.width}

    def _unpacked(self, latents: Tensor, sampler: Sampler) -> Tensor:
        """What the pipeline returns as latents -> NCHW."""
        return latents

    def load_weights(self, path: Path, option: str = "--weights", text: bool = True) -> None:
        found = find_weights(path, option, (self.denoiser_folder,))
        with fitting(option, path, self.name):
            if found.lora is not None:
                self._load_lora(found.lora, option, text)
            else:
                assert found.whole is not None
                self._load_whole(found.whole, option)

    def read_lora(self, file: Path, option: str, text: bool = False) -> Lora:
        check_lora(file, option)
        self._check_expert(file, option)
        networks = self._tunable(text)
        with fitting(option, file, self.name):
            lora = read_lora(file, option, networks, self.pipeline_class)
        lora.refuse_others_than(networks, f"{option} {str(file)!r}")
        if lora.changes_nothing():
            logging.getLogger(__name__).warning(
                "%s %r changes nothing: all its updates are zero", option, str(file)
            )
        return lora

    def _check_expert(self, file: Path, option: str) -> None:
        """Raises ValueError for a LoRA that says it is another denoiser's."""
        theirs = expert_of(file, option)
        if theirs and theirs != self.expert:
            own = f"this one is {self.expert!r}" if self.expert else f"{self.name!r} has no experts"
            raise ValueError(
                f"{option} {str(file)!r} is a LoRA of the expert {theirs!r}, and {own}; give it "
                "with the model it was trained on"
                + (f", as {theirs}/ of a folder or with --expert {theirs}" if self.expert else "")
            )

    def _load_lora(self, file: Path, option: str, text: bool) -> None:
        lora, networks = self.read_lora(file, option, text), self._tunable(text)
        for component, tensors in lora.tensors.items():
            config = peft_config(tensors, lora.config.get(component))
            attach(networks[component], tensors, config)
            if component != self.lora_prefix:
                self._text_adapters |= {f"{component}.{k}": value for k, value in tensors.items()}

    def _load_whole(self, folder: Path, option: str) -> None:
        if getattr(self.denoiser, "hf_quantizer", None) is not None:
            raise ValueError(
                f"weights folder {str(folder)!r} holds a whole denoiser, and --quantize "
                "is for the one that a LoRA goes onto; leave it out"
            )
        check_model(folder / self.denoiser_folder, option)
        with unread(unread_of(self.denoiser) is not None):
            tuned = from_pretrained(
                self.denoiser_class, str(folder), f"{option} {str(folder)!r}", self.denoiser_folder
            )
        if (broken := not_finite(Values(tuned))) is not None:
            raise ValueError(
                f"{option} {str(folder)!r}: {broken!r} is not finite (NaN or infinity); "
                "give sound weights"
            )
        load_into(self.denoiser, tuned)

    def _tunable(self, text: bool) -> dict[str, nn.Module]:
        """What a LoRA may change: the denoiser and, with `text`, the encoders that the pipeline
        names; training may have loaded the denoiser only."""
        names = getattr(self.pipeline_class, "_lora_loadable_modules", ()) if text else ()
        found = {n: getattr(self.pipeline, n, None) for n in names if n.startswith("text_")}
        encoders = {name: network for name, network in found.items() if network is not None}
        return {self.lora_prefix: self.denoiser, **encoders}

    def text_adapters(self) -> dict[str, Tensor]:
        return dict(self._text_adapters)


def fault_in(latents: Tensor, pixels: Tensor) -> str | None:
    """What is wrong with a picture, its numbers looked at before they are clamped to 8 bits."""
    for name, values in (("latents", latents), ("pixels", pixels)):
        if not values.isfinite().all():
            return f"{name} are not finite"
    return None


def _shift(vae: ModelMixin) -> float:
    """Of the latents; older autoencoders have none."""
    return float(vae.config.get("shift_factor") or 0)

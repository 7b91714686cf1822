"""What `sipo-data plan` is asked: what `generate` is, and what it is to be run on."""

from __future__ import annotations

from functools import partial

from pydantic import model_validator

from sipo.backbones.cost.cards import TFLOPS
from sipo.common.settings import Devices, setting
from sipo.datagen.settings import GenerateSettings

KEEP_RATE = 0.8
"""1,880 pairs of 292 prompts, of at most 8 each: `make demo`, mini-sd, docs/log.md, 2026-11-26."""
EVAL_IMAGES = 2212
"""GenEval's 553 prompts, four images each."""

_machine = partial(setting, "Machine")
_training = partial(setting, "Training")


class PlanSettings(GenerateSettings):
    """None of it changes what `generate` does."""

    devices: Devices = _machine("Devices that share the work.", "1", metavar="N", also="num_gpus")
    card: str | None = _machine(
        "Card, whose published dense bf16 peak is taken.",
        None,
        metavar="NAME",
        choices=TFLOPS,
        without="h100",
    )
    device_tflops: float | None = _machine(
        "Peak of a device in bf16 TFLOP/s, instead of a card's.", None, gt=0
    )
    share: float | None = _machine(
        "Share of the peak that sampling reaches.", None, without="as measured", gt=0, le=1
    )
    price: float | None = _machine("Money for an hour of a device.", None, without="none", ge=0)
    keep_rate: float = setting(
        "Pairs", "Share of the prompts that give as many pairs as they may.", KEEP_RATE, gt=0, le=1
    )
    num_train_epochs: float = _training("Epochs of training on the pairs.", 5, also="epochs", ge=0)
    eval_images: int = setting(
        "Evaluation",
        "Images of an evaluation; base and trained policy have one.",
        EVAL_IMAGES,
        ge=0,
    )
    measure: bool = setting(
        "Machine", "Sample and judge two images first, and go by how long that takes.", False
    )
    json_: bool = setting("Output", "Print the plan as JSON.", False)

    @property
    def device_count(self) -> int:
        """The devices of another machine nobody can count: auto is one."""
        return 1 if self.devices == "auto" else int(self.devices)

    @model_validator(mode="after")
    def _one_device(self) -> PlanSettings:
        if self.card is not None and self.card not in TFLOPS:
            raise ValueError(
                f"--card {self.card!r} is unknown; choose one of {', '.join(TFLOPS)}, or give its "
                "peak as --device-tflops"
            )
        if self.card is not None and self.device_tflops is not None:
            raise ValueError("--card and --device-tflops both say how fast it is; give one")
        said = [name for name in ("card", "device_tflops", "share") if getattr(self, name)]
        if self.measure and said:
            option = said[0].replace("_", "-")
            raise ValueError(f"--{option} has no effect with --measure; leave it out")
        return self

"""What `sipo-data generate` is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sipo.backbones.loading.names import check_backbone
from sipo.backbones.loading.trained_weights import check_weights
from sipo.common.settings import Seed, StrictModel
from sipo.feedback.frames import FRAMES, FrameScore

if TYPE_CHECKING:
    from sipo.backbones.base import Sampler


class GenerateSettings(StrictModel):
    """The command line of `generate`; None means the checkpoint's or the source's own default."""

    backbone: str = "mini-sd"
    weights: Path | None = None
    prompts: Path | None = None
    suite: str | None = None
    num_prompts: int | None = Field(default=None, ge=1)
    skip_prompts: int = Field(default=0, ge=0)
    judge: str = "yolo-world"
    judge_weights: Path | None = None
    judge_settings: Path | None = None
    judged_frames: int = Field(default=FRAMES, ge=1)  # of a clip
    frame_score: FrameScore = "mean"
    candidates: int = Field(default=8, ge=2)
    seed: Seed = 0
    steps: int | None = Field(default=None, ge=1)
    guidance: float | None = Field(default=None, ge=0)
    height: int | None = Field(default=None, ge=1)
    width: int | None = Field(default=None, ge=1)
    frames: int | None = Field(default=None, ge=1)  # of a clip
    batch_size: int = Field(default=16, ge=1)
    prompts_per_shard: int = Field(default=8, ge=1)
    policy: str = "all-over-margin"
    margin: float = Field(default=0.3, ge=0, le=1)
    max_pairs_per_prompt: int = Field(default=8, ge=1)
    dtype: str = "float32"
    quantize: str = "no"  # of the denoiser
    device: str = "auto"
    offload: bool = False
    workers: int | None = Field(default=None, ge=1)  # processes on a CPU; None: one a core
    out: Path = Path("shards")

    def sampler(self, default: Sampler) -> Sampler:
        """The backbone's sampler with what was asked put over it."""
        return type(default).model_validate(default.model_dump() | self.given_sampler)

    @property
    def given_sampler(self) -> dict[str, Any]:
        names = ("steps", "guidance", "height", "width", "frames")
        asked = {name: getattr(self, name) for name in names}
        return {name: value for name, value in asked.items() if value is not None}


def check_models(settings: GenerateSettings) -> None:
    """Raises ValueError for a backbone or weights that can be seen not to load."""
    check_backbone(settings.backbone)
    if settings.weights is not None:
        check_weights(settings.weights)

"""An estimate as people read it."""

from __future__ import annotations

from sipo.common.amounts import duration, size
from sipo.datagen.planning.estimate import Estimate, Stage
from sipo.datagen.planning.plan import device_of
from sipo.datagen.planning.settings import KEEP_RATE, PlanSettings

_COUNTED = {"generate": "images", "train": "pairs", "evaluate": "images"}


def plan_lines(settings: PlanSettings, made: Estimate) -> list[str]:
    device = "process like this one" if settings.measure else device_of(settings).name
    on = f"{settings.device_count} x {device}" if settings.device_count > 1 else f"one {device}"
    money = "" if made.money is None else f", {made.money:,.2f} in money"
    kept = "measured in `make demo`" if settings.keep_rate == KEEP_RATE else "as --keep-rate says"
    last = ", a shard's time: fewer prompts in a shard shorten it" * (settings.device_count > 1)
    disk = made.candidate_bytes + made.pair_bytes + made.embedding_bytes
    return [
        f"{settings.backbone} on {on}",
        f"{made.prompts:,} prompts x {settings.candidates} = {made.candidates:,} candidates in "
        f"{made.shards:,} shards; about {made.pairs:,} pairs",
        *(_stage_line(stage) for stage in made.stages),
        f"in all    {duration(3600 * made.device_hours)} of a device, "
        f"{duration(3600 * made.wall_hours)} on the clock{money}",
        f"at the end of generate all wait {duration(60 * made.shard_minutes)} at most{last}",
        f"disk      {size(disk)}: candidates {size(made.candidate_bytes)}, pairs "
        f"{size(made.pair_bytes)}, text embeddings {size(made.embedding_bytes)}",
        *made.sources,
        *_assumed(settings, kept),
    ]


def _stage_line(stage: Stage) -> str:
    return (
        f"{stage.name:9} {duration(3600 * stage.device_hours)} of a device for "
        f"{stage.count:,} {_COUNTED[stage.name]}, {duration(3600 * stage.wall_hours)} on the clock"
    )


def _assumed(settings: PlanSettings, kept: str) -> list[str]:
    lines = [f"keep rate {settings.keep_rate:g}, {kept}"]
    if not settings.measure:
        lines.append(
            "assumed: every judge as fast as YOLO-World-x on an H100 (115 images a second, "
            "measured); PNG at 1.25 bytes a pixel (measured on photographs), clips without theirs"
        )
    lines.append(
        "assumed: devices share training without loss. Not counted: loading, compilation, "
        "checkpoints, validation, and what --compile, --cache, --fp8, --quantize, --offload change"
    )
    return lines

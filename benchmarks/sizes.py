"""What training each family takes, from its published architecture; no weights are needed.

    python benchmarks/sizes.py

Denoisers are built on the meta device and asked for one prediction there: parameters, LoRA targets
and operations are counted, not quoted. Memory and hours are calculated. Prints the tables of
docs/backbones.md and what the recipes say of their cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from masks_without_values import MasksWithoutValues
from published import MODELS, SCHEDULE, Model
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sipo.backbones.registry import FAMILIES
from sipo.recipes import names, section

RANK = 16
GB = 1e9
GPUS_GB = (24, 40, 80)
RESERVED_GB = 2.0  # CUDA context, workspaces, fragmentation: assumed
BLOCK_BYTES = 34  # a token and channel of one block in bf16 without scores: Korthikanti et al. 2022
LORA_BYTES = 4 + 4 + 8  # float32 weight, gradient, AdamW's two moments
FULL_BYTES = LORA_BYTES + 4  # and the frozen copy that rewards are measured against
AUTOCAST_BYTES = 2  # of a trained weight: its bf16 copy, kept for the backward pass if not sharded
DDP_BYTES = 4  # of a trained weight: the buckets that gradients are sent in
MOMENTS_8BIT = -6  # of a trained weight: --use_8bit_adam
BASE_BYTES = {"no": 2.0, "int8": 1.0, "nf4": (4 + 8 / 64 + 32 / (64 * 256)) / 8}
"""Of a frozen weight under a LoRA, by --quantize: bf16, one scale a row, Dettmers et al. 2023."""
ROWS = 2  # winner and loser: --train_batch_size 1
FLOP_S = 0.4 * 312e12  # of an A100 in bf16; 40 % of its peak is assumed
SLIDES_GPUS = 16  # A100, SIPO slides: experimental setup
SLIDES_PAIRS = 5000  # of the AI feedback
ONE_CARD = ("flux2-klein-4b",)  # recipes of another size for one card: `sipo-data plan` counts them


@dataclass(frozen=True)
class Sizes:
    """Of one denoiser; `forward` are the operations of one row, `activations` the bytes of a pair
    with gradient checkpointing and `kept` without.
    """

    parameters: int
    linear: int
    targets: int
    lora: int
    forward: int
    activations: float
    kept: float

    def lora_bytes(self, quantize: str = "no", rank: int = RANK) -> float:
        """Of one GPU: the base is frozen, and the reference without its adapter."""
        linear = BASE_BYTES[quantize] * self.linear
        base = linear + BASE_BYTES["no"] * (self.parameters - self.linear)
        return base + LORA_BYTES * self.lora * rank / RANK + self.activations

    def full_bytes(self, gpus: int = 1, more: int = 0) -> float:
        """Of one GPU: weights, gradients, optimizer and reference in float32, shared by `gpus`."""
        each = FULL_BYTES + more + (AUTOCAST_BYTES if gpus == 1 else 0)
        return each * self.parameters / gpus + self.activations


def measure(model: Model) -> Sizes:
    family = family_of(model)
    with torch.device("meta"):
        denoiser = family.denoiser_class(**model.config)
    targets = list(lora_linears(denoiser, family.lora_targets))
    values = list(block_inputs(model.tokens, denoiser))
    return Sizes(
        parameters=sum(p.numel() for p in denoiser.parameters()),
        linear=sum(m.weight.numel() for m in denoiser.modules() if isinstance(m, nn.Linear)),
        targets=len(targets),
        lora=sum(RANK * (linear.in_features + linear.out_features) for linear in targets),
        forward=forward_operations(model, family(model.name, denoiser, SCHEDULE)),
        # The inputs of all blocks in bf16, and one block.
        activations=ROWS * (2 * sum(values) + BLOCK_BYTES * max(values)),
        kept=ROWS * BLOCK_BYTES * sum(values),
    )


def family_of(model: Model) -> Any:
    module, name = FAMILIES[model.pipeline].split(":")
    return getattr(import_module(module), name)


def forward_operations(model: Model, backbone: Any) -> int:
    """Of one row's prediction: matrix products, convolutions and attention, 2 a multiplication."""
    counted = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad(), counted, MasksWithoutValues():
        prompt: dict[str, Any] = {k: torch.empty(1, *shape) for k, shape in model.prompt.items()}
        if "before" in prompt:
            prompt["before"] = torch.empty(1, *model.latents)
        if "cap_feats" in prompt:  # Z-Image: no caption is cut
            prompt["cap_mask"] = [slice(None)]
        backbone.predict(
            backbone.denoiser, torch.empty(1, *model.latents), torch.zeros(1).long(), prompt
        )
    return int(counted.get_total_flops())


def lora_linears(denoiser: nn.Module, ends: Sequence[str]) -> Iterator[nn.Linear]:
    for name, module in denoiser.named_modules():
        if isinstance(module, nn.Linear) and any(f".{name}".endswith(f".{end}") for end in ends):
            yield module


def block_inputs(tokens: int, denoiser: Any) -> Iterator[int]:
    """Values that enter each block: a residual or transformer block of a UNet, else a layer."""
    for name, module in denoiser.named_modules():
        kind = type(module).__name__
        if kind == "ResnetBlock2D":
            yield tokens // 4 ** level(name, denoiser) * module.in_channels
        elif kind == "BasicTransformerBlock":
            yield tokens // 4 ** level(name, denoiser) * module.dim
        elif kind.endswith("TransformerBlock") or kind == "CogVideoXBlock":
            yield tokens * next(p for n, p in module.named_parameters() if "to_q" in n).shape[1]


def level(name: str, unet: Any) -> int:
    """How often the sides were halved before a module, by its name in the UNet."""
    deepest = len(unet.down_blocks) - 1
    place, _, rest = name.partition(".")
    number = int(rest.partition(".")[0]) if place != "mid_block" else 0
    return {"down_blocks": number, "mid_block": deepest}.get(place, deepest - number)


def sizes_table(measured: dict[Model, Sizes]) -> str:
    rows = [
        "| model | parameters | LoRA targets | LoRA, rank 16 | base, bf16 | training the LoRA | "
        "training all | activations | TFLOP a row | published as |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for model, sizes in measured.items():
        full = FULL_BYTES * sizes.parameters / GB
        rows.append(
            f"| {model.name} | {sizes.parameters / 1e6:,.0f} M | {sizes.targets} "
            f"| {sizes.lora / 1e6:.1f} M | {2 * sizes.parameters / GB:.1f} GB "
            f"| {LORA_BYTES * sizes.lora / GB:.2f} GB | {full:.0f} GB "
            f"| {sizes.activations / GB:.1f} GB | {sizes.forward / 1e12:.3g} | {model.source} |"
        )
    return "\n".join(rows)


def gpus_table(measured: dict[Model, Sizes]) -> str:
    """LoRA is data parallel: each GPU holds all, so that four or eight only make it faster."""
    rows = [
        "| model | LoRA, each of 1, 4 or 8 | on int8 | on nf4 | full, 1 GPU | "
        "with 8-bit moments | full, sharded over 4 | over 8 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for model, sizes in measured.items():
        asked = [sizes.lora_bytes(bits) for bits in BASE_BYTES]
        asked += [sizes.full_bytes(), sizes.full_bytes(more=MOMENTS_8BIT)]
        asked += [sizes.full_bytes(gpus) for gpus in (4, 8)]
        rows.append(f"| {model.name} | {' | '.join(map(smallest_gpu, asked))} |")
    return "\n".join(rows)


def smallest_gpu(needed: float) -> str:
    gigabytes = needed / GB + RESERVED_GB
    fitting = [size for size in GPUS_GB if gigabytes <= size]
    return f"{fitting[0]} GB ({gigabytes:.0f})" if fitting else f"none ({gigabytes:.0f})"


def recipes_table(measured: dict[Model, Sizes]) -> str:
    """On the slides' GPUs, data parallel."""
    rows = [
        "| recipe | passes a pair | TFLOP a pair | pairs | A100 hours | GB of each GPU |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for recipe in (name for name in names() if name not in ONE_CARD):
        train = section(recipe, "train")
        sizes = next(s for m, s in measured.items() if m.source == train["backbone"])
        pairs = pairs_of(train)
        passes = passes_of(train)
        work = passes * sizes.forward
        hours = work * pairs / FLOP_S / 3600
        rows.append(
            f"| {recipe} | {passes} | {work / 1e12:,.3g} | {pairs:,.0f} | {hours:.0f} "
            f"| {recipe_bytes(train, sizes) / GB + RESERVED_GB:.0f} |"
        )
    return "\n".join(rows)


def pairs_of(train: dict[str, Any]) -> float:
    if epochs := train.get("num_train_epochs"):
        return float(epochs * SLIDES_PAIRS)
    step = train["train_batch_size"] * train.get("gradient_accumulation_steps", 1) * SLIDES_GPUS
    return float(step * train["max_train_steps"])


def passes_of(train: dict[str, Any]) -> int:
    """Forward passes of a row that training a pair costs as much as, for both rows.

    One of the policy, one of the reference; again with checkpointing; the backward pass is two,
    one through a frozen base, whose weights need no gradients.
    """
    backward = 2 if train.get("full") else 1
    return ROWS * (2 + backward + bool(train.get("gradient_checkpointing")))


def recipe_bytes(train: dict[str, Any], sizes: Sizes) -> float:
    pairs = train["train_batch_size"]
    of_pair = sizes.activations if train.get("gradient_checkpointing") else sizes.kept
    if not train.get("full"):
        return sizes.lora_bytes(rank=train["rank"]) + (of_pair * pairs - sizes.activations)
    return sizes.full_bytes(more=DDP_BYTES) + (of_pair * pairs - sizes.activations)


def main() -> None:
    measured = {model: measure(model) for model in MODELS}
    tables = (sizes_table, gpus_table, recipes_table)
    print(*(table(measured) for table in tables), sep="\n\n")


if __name__ == "__main__":
    main()

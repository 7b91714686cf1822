"""The denoiser and text encoder of mini-sd, trained together on captioned scenes.

mini-sd is made in several runs, each going on from the last (`--init`): on true captions it learns
sides (`--stage sides`) and then everything, and shortly, on noisy ones, it unlearns to care
(`--noise`, `--denoiser-only`: what the words mean stays known). The model card has the commands.

Two single-threaded processes share a step (gradients averaged over gloo): on two cores that is
faster than one process with two threads, and does not stall when a core is busy.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from sipo.common.devices import autocast, keep_freed_memory
from sipo.common.spawning import end_with
from sipo.mini.train.group_norm import replace_group_norms
from sipo.mini.train.latents import encode_chunk, load_chunks
from sipo.mini.train.layout_reader import LayoutReaders
from sipo.mini.train.step_loop import run_steps, trapezoid
from sipo.mini.train.text_encoder import WIDTH, deepened, new_text_encoder, new_tokenizer

BATCH = 64  # over all processes
SIDES = ("left", "right", "above", "below")
EMPTY_SHARE = 0.1  # captions dropped, for classifier-free guidance (Ho & Salimans 2022)
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
}  # Stable Diffusion 1.5's, but for v: where sides are decided, epsilon's error hardly shows them


def new_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 96, 160),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # diffusers' name for the number of heads
        norm_num_groups=32,
    )


@dataclass(frozen=True)
class Stage:
    """What a run looks at: where sides are decided is early in sampling, at large timesteps."""

    placed: float  # share of position scenes
    early: float  # share of timesteps from [early_from, 1000), the others from [0, 1000)
    early_from: int
    layout_weight: float  # of the readers' cross-entropy beside the mean squared error


STAGES = {
    "sides": Stage(0.8, 0.85, 750, 1.0),
    "all": Stage(0.25, 0.25, 650, 0.7),
    "noisy": Stage(0.25, 0.6, 650, 0.0),
}


@dataclass(frozen=True)
class Recipe:
    """`init` is a pipeline to go on from; `noise` the share of captions that lie."""

    vae: Path
    out: Path
    steps: int
    init: Path | None = None
    stage: str = "all"
    denoiser_only: bool = False  # the text encoder stays as it is
    noise: float = 0.0
    learning_rate: float = 1e-3  # the peak's
    chunks: int = 24  # of 2,000 scenes
    seed: int = 0
    processes: int = 2


def train_unet(recipe: Recipe) -> None:
    """Writes the pipeline to `out/mini-sd` in diffusers' layout."""
    processes = recipe.processes
    with tempfile.TemporaryDirectory() as meeting:
        torch.multiprocessing.spawn(  # type: ignore[attr-defined, no-untyped-call]
            _worker, args=(processes, meeting, recipe, os.getpid()), nprocs=processes
        )


def _worker(rank: int, world: int, meeting: str, recipe: Recipe, parent: int) -> None:
    end_with(parent)
    out, steps, seed, stage = recipe.out, recipe.steps, recipe.seed, STAGES[recipe.stage]
    if world > 1:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
    torch.set_num_threads(1)
    keep_freed_memory(torch.device("cpu"))
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting}/store", rank=rank, world_size=world
    )
    vae = AutoencoderKL.from_pretrained(recipe.vae).eval()
    tokenizer = new_tokenizer()
    for number in range(rank, recipe.chunks, world):
        encode_chunk(out / "latents", number, vae, tokenizer, seed, recipe.noise)
    dist.barrier()
    data = load_chunks(out / "latents", recipe.chunks)
    sides = torch.tensor(tokenizer.convert_tokens_to_ids([f"{word}</w>" for word in SIDES]))
    placed = torch.isin(data.tokens, sides).any(1)
    placed_rows, other_rows = placed.nonzero()[:, 0], (~placed).nonzero()[:, 0]
    empty = tokenizer("", padding="max_length", return_tensors="pt").input_ids[0]

    torch.manual_seed(seed)
    if recipe.init is None:
        unet, text_encoder = new_unet(), new_text_encoder(tokenizer)
    else:
        unet = UNet2DConditionModel.from_pretrained(recipe.init / "unet")
        text_encoder = CLIPTextModel.from_pretrained(recipe.init / "text_encoder")
        text_encoder = deepened(text_encoder, tokenizer)
    text_encoder.set_attn_implementation("eager")  # on a CPU faster than fused at this size
    unet.set_attn_processor(AttnProcessor())  # on a CPU faster than the fused one at this size
    replace_group_norms(unet)
    unet.train().to(memory_format=torch.channels_last)
    schedule = DDPMScheduler(**SCHEDULE)
    models = nn.ModuleList([unet, text_encoder])
    parameters = list((unet if recipe.denoiser_only else models).parameters())
    readers = LayoutReaders(unet)
    learning = [*parameters, *readers.parameters()]
    optimizer = torch.optim.AdamW(
        learning, recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    ema = EMAModel(parameters, decay=0.999, use_ema_warmup=True, power=0.75, foreach=True)
    share = BATCH // world

    def step(k: int) -> dict[str, float]:
        draw = torch.Generator().manual_seed((seed * 1_000_003 + k) * world + rank)
        rows = torch.where(
            torch.rand(share, generator=draw) < stage.placed,
            placed_rows[torch.randint(len(placed_rows), (share,), generator=draw)],
            other_rows[torch.randint(len(other_rows), (share,), generator=draw)],
        )
        latents, tokens = data.latents[rows].float(), data.tokens[rows].clone()
        tokens[torch.rand(share, generator=draw) < EMPTY_SHARE] = empty
        noise = torch.randn(latents.shape, generator=draw)
        early = torch.rand(share, generator=draw) < stage.early
        timesteps = torch.randint(1000, (share,), generator=draw)
        timesteps[early] = timesteps[early] * (1000 - stage.early_from) // 1000 + stage.early_from
        noisy = schedule.add_noise(latents, noise, timesteps)
        with autocast():
            hidden = text_encoder(tokens).last_hidden_state
            prediction = unet(noisy, timesteps, hidden).sample.float()
        mse = F.mse_loss(prediction, schedule.get_velocity(latents, noise, timesteps))
        layout = readers.loss(data.cells[rows].long())
        torch.autograd.backward(mse + stage.layout_weight * layout)
        if world > 1:
            _average_gradients(learning, world)
        norm = torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * trapezoid(k, steps)
        optimizer.step()
        optimizer.zero_grad()
        ema.step(parameters)
        return {"mse": mse.item(), "layout": layout.item(), "grad_norm": norm.item()}

    parts = {"models": models, "readers": readers, "optimizer": optimizer, "ema": ema}
    run_steps(out, parts, steps, step, save_every=100, is_main=rank == 0)
    if rank == 0:
        ema.copy_to(parameters)
        save_pipeline(out / "mini-sd", vae, tokenizer, text_encoder, unet)
    dist.barrier()
    dist.destroy_process_group()


def save_pipeline(
    folder: Path,
    vae: AutoencoderKL,
    tokenizer: object,
    text_encoder: nn.Module,
    unet: UNet2DConditionModel,
) -> None:
    """Halves on disk where diffusers restores float32 on loading (transformers does not)."""
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DPMSolverMultistepScheduler(
            **SCHEDULE, timestep_spacing="trailing", steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    unet.half()
    vae.half()
    pipeline.save_pretrained(folder)


def _average_gradients(parameters: list[nn.Parameter], world: int) -> None:
    flat: Tensor = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    dist.all_reduce(flat)
    flat /= world
    first = 0
    for p in parameters:
        if p.grad is not None:
            p.grad.copy_(flat[first : first + p.numel()].view_as(p))
            first += p.numel()

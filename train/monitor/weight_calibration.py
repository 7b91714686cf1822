"""`sipo-train calibrate`: the error and w(t) of a loaded backbone on its data.

The paper reports w(t) < 0.9 mainly for t in [0, 63], 6 % of the timesteps. Where that border lies
depends on the model's error and on --num_chain_steps N; the N that comes nearest is proposed.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from sipo.backbones.base import Backbone
from sipo.common.bars import bar
from sipo.common.files.writing import write_text
from sipo.pages.chart_kinds import Chart, Line
from sipo.pages.charts import write_png
from sipo.train.data.pair_batches import Pairs, PairStream, generator
from sipo.train.monitor.metrics import BINS
from sipo.train.objective.denoising_errors import mse, timestep_coefficient
from sipo.train.objective.importance import log_weight
from sipo.train.settings import TrainSettings
from sipo.train.timesteps import trained_timesteps

PAIRS, POINTS = 16, 50
"""A point of the curve is the mean error over 2 * PAIRS latents."""
CHAINS = (10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 500, 1000)
PAPERS_SHARE = 64 / 1000
Bin = TypedDict("Bin", {"from": int, "to": int, "mse": float, "w": float})


class Curve(TypedDict):
    """weights.json: `mse` at the timesteps that were measured, `w` at every one from the first bin
    on."""

    backbone: str
    num_chain_steps: int
    proposed_num_chain_steps: int
    threshold: float
    last_timestep_below: int | None
    share_below: float
    bins: list[Bin]
    beta: dict[str, float]  # see `describe_beta`
    mse: dict[int, float]
    w: list[float]


@torch.no_grad()
def measure_curve(
    settings: TrainSettings, backbone: Backbone, pairs: Pairs, device: torch.device | str = "cpu"
) -> Curve:
    """The base model's mse at POINTS timesteps, interpolated to all T, and the w(t) it makes."""
    every = trained_timesteps(settings, backbone)
    stream = PairStream(pairs, settings.seed)
    chosen = [stream[position] for position in range(min(PAIRS, len(pairs)))]
    latents = torch.stack([side.float() for pair in chosen for side in (pair.winner, pair.loser)])
    texts = [
        text
        for pair in chosen
        for text in (pair.conditioning, pair.loser_conditioning or pair.conditioning)
    ]
    conditioning = {name: torch.stack([text[name] for text in texts]) for name in texts[0]}
    # Denser at low t, where the weight falls: quadratic spacing.
    spaced = every.start + torch.linspace(0, 1, POINTS) ** 2 * (len(every) - 1)
    points = torch.unique(spaced.round().long())
    noise = torch.randn(latents.shape, generator=generator(settings.seed, "curve"))
    size = settings.train_batch_size  # half of the rows that training holds, and no gradient
    parts = [slice(first, first + size) for first in range(0, len(latents), size)]

    def error_of(part: slice, point: Tensor) -> Tensor:
        """Errors of these latents at one timestep, (B,)."""
        clean, drawn = latents[part].to(device), noise[part].to(device)
        timesteps = point.to(device).expand(len(clean))
        predicted = backbone.predict(
            backbone.denoiser,
            backbone.add_noise(clean, drawn, timesteps),
            timesteps,
            {name: value[part].to(device) for name, value in conditioning.items()},
        )
        return mse(predicted, backbone.target(clean, drawn, timesteps).float())

    errors = []
    with bar(len(points), "Measuring", "timesteps") as shown:
        for point in points:
            errors.append(float(torch.cat([error_of(part, point) for part in parts]).mean()))
            shown.update()
    timesteps = torch.tensor(every)
    curve = _interpolate(timesteps, points, errors)
    w = _w(backbone, timesteps, curve, settings)
    below = timesteps[w < 1 - settings.eps_clip].tolist()
    return {
        "backbone": backbone.name,
        "num_chain_steps": settings.num_chain_steps,
        "proposed_num_chain_steps": _propose(backbone, timesteps, curve, settings),
        "threshold": 1 - settings.eps_clip,
        "last_timestep_below": max(below, default=None),
        "share_below": len(below) / len(every),
        "bins": _bins(curve, w, every.start),
        "beta": describe_beta(settings.beta_dpo, float(curve.mean()), latents[0].numel()),
        "mse": {int(point): error for point, error in zip(points, errors, strict=True)},
        "w": [round(value, 6) for value in w.tolist()],
    }


def _w(backbone: Backbone, timesteps: Tensor, curve: Tensor, settings: TrainSettings) -> Tensor:
    return log_weight(timestep_coefficient(backbone, timesteps, settings), curve).exp()


def _propose(backbone: Backbone, every: Tensor, curve: Tensor, settings: TrainSettings) -> int:
    """The N whose share of timesteps below 1 - eps is nearest to the paper's 64 of 1000; of equal
    ones that nearest to what was asked, as where no N moves a weight: at high noise."""

    def distance(chain_steps: int) -> tuple[float, int]:
        given = settings.model_copy(update={"num_chain_steps": chain_steps})
        below = _w(backbone, every, curve, given) < 1 - settings.eps_clip
        far = abs(float(below.float().mean()) - PAPERS_SHARE)
        return far, abs(chain_steps - settings.num_chain_steps)

    return min((n for n in CHAINS if n <= backbone.num_train_timesteps), key=distance)


def _bins(curve: Tensor, w: Tensor, first: int) -> list[Bin]:
    """Means of mse and w, and the share kept, in tenths of the timesteps."""
    edges = [len(w) * place // BINS for place in range(BINS + 1)]
    return [
        {
            "from": first + low,
            "to": first + high,
            "mse": round(float(curve[low:high].mean()), 6),
            "w": round(float(w[low:high].mean()), 6),
        }
        for low, high in pairwise(edges)
    ]


def describe_beta(beta: float, error: float, dimensions: int) -> dict[str, float]:
    """Beta so that it can be compared between models and code bases.

    `z_per_percent` is |z| when one branch's error moves by 1 % of its mean. The others are the same
    strength in the units of scripts that leave out the half (LoRA scripts), and of those that sum
    over dimensions instead of averaging.
    """
    return {
        "beta_dpo": beta,
        "z_per_percent": beta / 2 * 0.01 * error,
        "without_half": beta / 2,
        "sum_reduction": beta / dimensions,
    }


def _interpolate(at: Tensor, points: Tensor, values: list[float]) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.interp(at.numpy(), points.numpy(), values)).float()


def write_curve(curve: Curve, out: Path) -> Path:
    """weights.json and weights.png in `out`; returns the picture's path."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "weights.json", json.dumps(curve, indent=1))
    chart = Chart(
        [
            Line("w(t)", list(enumerate(curve["w"], curve["bins"][0]["from"])), "c1"),
            Line("mse", list(curve["mse"].items()), "c2"),
        ],
        "timestep t",
        f"{curve['backbone']}, N = {curve['num_chain_steps']}: {curve['share_below']:.1%} below "
        f"{curve['threshold']:g}",
        levels=[curve["threshold"]],
        y_range=(0, 1.1),
    )
    write_png([chart], out / "weights.png")
    return out / "weights.png"


def as_text(curve: Curve) -> str:
    """The table and the sentences for the user."""
    lines = ["timesteps     mse       w"]
    for row in curve["bins"]:
        lines.append(f"{row['from']:4.0f}-{row['to']:<5.0f} {row['mse']:8.4f} {row['w']:7.4f}")
    last, beta = curve["last_timestep_below"], curve["beta"]
    where = "at no timestep" if last is None else f"up to t = {last}"
    lines += [
        f"w(t) < {curve['threshold']:g} {where} ({curve['share_below']:.1%} of the timesteps) with "
        f"--num_chain_steps {curve['num_chain_steps']}; nearest to the paper's "
        f"{PAPERS_SHARE:.1%}: {curve['proposed_num_chain_steps']}",
        f"beta_dpo {beta['beta_dpo']:g}: |z| moves by {beta['z_per_percent']:.3g} when an error "
        f"moves by 1 %. The same as {beta['without_half']:g} in scripts without the factor 1/2, as "
        f"{beta['sum_reduction']:.3g} in those that sum over dimensions",
    ]
    return "\n".join(lines)

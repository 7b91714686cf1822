"""Tiny runs by one or several processes (gloo, CPU), one after the other in the same ones.

As a script it is one of the processes.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """A run: its settings, and whether it learns from prompts that it samples."""

    settings: dict[str, Any]
    samples: bool = False


@dataclass
class Outcome:
    """Of a task in one process."""

    error: str = ""  # kind and sentence
    reference_rows: list[int] = field(default_factory=list)  # of each pass of the reference
    sampled: int = 0  # batches, by a pipeline or as trajectories


def on_processes(count: int, folder: Path, tasks: Sequence[Task], out: Path) -> list[list[Outcome]]:
    """By task, of each process. `folder` is the tiny pipeline, `out` where outcomes go."""
    out.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": str(count), "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    asked = json.dumps([asdict(task) for task in tasks])
    running = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder), str(out), asked],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    for process in running:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-2000:]
    outcomes = [json.loads((out / f"{rank}.json").read_text()) for rank in range(count)]
    return [[Outcome(**one) for one in of] for of in zip(*outcomes, strict=True)]


def do(task: Task, folder: Path) -> Outcome:
    from memory_pairs import MemoryPairs, MemoryPrompts

    from sipo.backbones.registry import load_backbone
    from sipo.train.objective import denoising_errors
    from sipo.train.objective.rollouts import Trajectories
    from sipo.train.settings import make_settings
    from sipo.train.trainer import train

    outcome = Outcome()
    settings = make_settings({"rank": 2, "report_to": "none"} | task.settings)
    pairs = MemoryPairs(5)
    pairs.meta["sampler"] = {"steps": 2, "guidance": 2.0}
    whole = task.samples or bool(settings.validation_pairs)
    backbone = load_backbone(str(folder), denoiser_only=not whole)
    errors, sample, rollout = (
        denoising_errors.frozen_errors,
        type(backbone).sample,
        Trajectories.rollout,
    )

    def counted_errors(policy: Any, noised: Any, which: Any) -> Any:
        outcome.reference_rows.append(len(noised.timesteps) // 2)
        return errors(policy, noised, which)

    def counted_sample(*given: Any) -> Any:
        outcome.sampled += 1
        return sample(*given)

    def counted_rollout(*given: Any) -> Any:
        outcome.sampled += 1
        return rollout(*given)

    denoising_errors.frozen_errors = counted_errors
    type(backbone).sample = counted_sample  # type: ignore[method-assign]
    Trajectories.rollout = counted_rollout  # type: ignore[method-assign]
    try:
        train(settings, backbone, MemoryPrompts() if task.samples else pairs)
    except (ValueError, RuntimeError, OSError) as error:
        outcome.error = f"{type(error).__name__}: {error}"
    finally:
        denoising_errors.frozen_errors = errors
        type(backbone).sample = sample  # type: ignore[method-assign]
        Trajectories.rollout = rollout  # type: ignore[method-assign]
    return outcome


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import torch

    torch.set_num_threads(1)
    folder, out, asked = sys.argv[1:]
    done = [asdict(do(Task(**task), Path(folder))) for task in json.loads(asked)]
    rank = os.environ["RANK"]
    (Path(out) / f"{rank}.json").write_text(json.dumps(done))

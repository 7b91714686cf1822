"""What several processes share out, and that it comes to what one does alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from alike import assert_close_weights, same_bits
from processes import Outcome, Task, on_processes
from safetensors.torch import load_file

from sipo.backbones.base import LORA_FILE
from sipo.feedback.prompts import grammar

CACHED = {"reference_draws": 3, "timesteps_per_pair": 2, "learning_rate": 1e-3}
CACHED |= {"max_train_steps": 10, "checkpointing_steps": 3}
STILL = {"learning_rate": 1e-30}  # the policy is the base, to the bit
ROLLOUTS = {"objective": "d3po", "d3po_prompts": 3, "d3po_steps": 3, "judge": "fake"}
MOVED = {"reference": "moving", "auto_beta": True, "beta_dpo": 0.1, "learning_rate": 1e-3}
MOVED |= {"max_train_steps": 22, "checkpointing_steps": 11}
EXPLODING = {"objective": "diffusion-dpo", "beta_dpo": 20, "learning_rate": 1e-2}
EXPLODING |= {"lora_targets": "all", "train_timesteps": "500:501", "stop_on_winner_error": 0.02}
EXPLODING |= {"max_train_steps": 40, "checkpointing_steps": 4}
NFT = {"objective": "nft", "learning_rate": 1e-3, "max_train_steps": 3, "checkpointing_steps": 1}
WATCHED = STILL | {"validation_pairs": 4, "max_train_steps": 2, "train_batch_size": 2}


ALIKE = {"moved": MOVED, "exploding": EXPLODING, "nft": NFT}
"""What each process must come to by itself: a reference, a beta, an end; scored candidates."""


class Runs:
    """The runs of one process and of two: `folder` / one or two / name."""

    def __init__(self, folder: Path, tiny: Path) -> None:
        self.folder = folder
        prompts = [grammar.single_object("cat"), grammar.counting("dog", 2)]
        file = folder / "prompts.jsonl"
        file.write_text(
            "".join(f"{p.to_json()}\n" for p in (*prompts, grammar.single_object("bus")))
        )
        watched = WATCHED | {"validation_prompts": str(file)}
        tasks = {
            "cached": Task(CACHED),
            "watched": Task(watched | {"validation_judge": "fake"}),
            "rollouts": Task(ROLLOUTS | {"max_train_steps": 2}, samples=True),
            **{name: Task(given) for name, given in ALIKE.items()},
        }
        more = {"sharded": Task(CACHED | {"shard_weights": True})}
        parts = [{**CACHED, "max_train_steps": step} for step in (3, 7, 10)]
        more |= {f"parts-{n}": Task(part | {"out": "parts"}) for n, part in enumerate(parts)}
        more |= {
            name: Task(watched | {"validation_judge": f"rank_judges:{name}"})
            for name in ("breaks_on_the_second", "fails")
        }
        self.outcomes = {
            "one": self._run(1, "one", tasks, tiny),
            "two": self._run(2, "two", tasks | more, tiny),
        }

    def _run(
        self, count: int, kind: str, tasks: dict[str, Task], tiny: Path
    ) -> dict[str, list[Outcome]]:
        placed = []
        for name, task in tasks.items():
            out = self.folder / kind / str(task.settings.get("out", name))
            batch = {"train_batch_size": 2 // count}
            placed.append(Task(batch | task.settings | {"out": str(out)}, task.samples))
        done = on_processes(count, tiny, placed, self.folder / kind)
        return dict(zip(tasks, done, strict=True))

    def rows(self, kind: str, name: str) -> list[dict[str, Any]]:
        log = self.folder / kind / name / "log.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture(scope="module")
def runs(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"), tiny_folder)


def test_cached_references_are_what_one_process_has(runs: Runs) -> None:
    """5 pairs, 3 draws of 2 rows: 30 of 40 rows are computed, by both together."""
    (one,), two = (runs.outcomes[kind]["cached"] for kind in ("one", "two"))
    assert sum(one.reference_rows) == sum(sum(each.reference_rows) for each in two) == 30
    assert all(each.reference_rows for each in two)
    losses = [[row["loss"] for row in runs.rows(kind, "cached")] for kind in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_divided_weights_are_asked_by_all_or_by_none(runs: Runs) -> None:
    """In step 8 one process has the last new pair, and the other computes a row for its sake."""
    first, second = runs.outcomes["two"]["sharded"]
    assert first.error == second.error == ""
    assert first.reference_rows == [2] * 8
    assert second.reference_rows == [2] * 7 + [1]
    losses = [[row["loss"] for row in runs.rows("two", name)] for name in ("cached", "sharded")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_two_processes_resume_exactly(runs: Runs) -> None:
    """The fourth step meets draws of the first, whichever process had them."""
    whole, parts = (runs.folder / "two" / name / LORA_FILE for name in ("cached", "parts"))
    assert same_bits(whole, parts)
    kept = sum(sum(e.reference_rows) for n in range(3) for e in runs.outcomes["two"][f"parts-{n}"])
    assert kept == 30


def test_validation_is_shared_out_and_sees_the_same(runs: Runs) -> None:
    """6 images in batches of 2: the main process has the first and the last."""
    (one,), (main, other) = (runs.outcomes[kind]["watched"] for kind in ("one", "two"))
    assert (one.sampled, main.sampled, other.sampled) == (3, 4, 2)  # one look, and two
    alone, shared = (runs.rows(kind, "watched")[-1]["validation"] for kind in ("one", "two"))
    assert shared == alone
    sheets = [
        runs.folder / kind / "watched" / "validation" / "step-2.png" for kind in ("one", "two")
    ]
    assert sheets[0].read_bytes() == sheets[1].read_bytes()


def test_what_breaks_on_one_process_ends_all(runs: Runs) -> None:
    main, other = runs.outcomes["two"]["breaks_on_the_second"]
    assert other.error == "RuntimeError: the second judge is broken"
    assert main.error == f"ChildProcessError: process 1 failed: {other.error}"
    main, other = runs.outcomes["two"]["fails"]
    assert main.error.startswith("ValueError: judge 'rank_judges:fails' failed on all of its first")
    assert other.error.startswith("ValueError: ")


def test_d3po_shares_out_its_prompts(runs: Runs) -> None:
    (one,), (main, other) = (runs.outcomes[kind]["rollouts"] for kind in ("one", "two"))
    assert (one.sampled, main.sampled, other.sampled) == (3, 2, 1)
    blocks = [
        runs.folder / kind / "rollouts" / "trajectories" / "block-000000.safetensors"
        for kind in ("one", "two")
    ]
    assert same_bits(*blocks)


@pytest.mark.parametrize(("name", "start"), [("moved", 11), ("nft", 1)])
def test_two_end_with_the_weights_of_one(runs: Runs, name: str, start: int) -> None:
    one, two = (runs.folder / kind / name for kind in ("one", "two"))
    begun = one / f"checkpoint-{start}" / LORA_FILE
    assert_close_weights(one / LORA_FILE, two / LORA_FILE, begun, 0.05)


def test_reference_and_beta_move_alike(runs: Runs) -> None:
    file = "moved/checkpoint-22/state.safetensors"
    ours, theirs = (load_file(runs.folder / kind / file) for kind in ("one", "two"))
    names = [name for name in ours if name.startswith("reference/")]
    assert names
    for name in names:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-2, atol=1e-4)
    assert runs.rows("two", "moved")[-1]["beta"] == pytest.approx(0.10201)


def test_all_see_winners_errors_grow(runs: Runs) -> None:
    ends = [
        json.loads((runs.folder / kind / "exploding/summary.json").read_text())
        for kind in ("one", "two")
    ]
    assert ends[0]["stopped"]
    for name in ("stopped", "steps", "policy_of_step"):
        assert ends[0][name] == ends[1][name]

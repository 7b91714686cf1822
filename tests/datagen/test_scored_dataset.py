"""Every scored candidate, the better beside the worse of its prompt, each with its reward."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from statistics import fmean, pstdev

import pytest
import torch
from click.testing import CliRunner

from sipo.common.files.writing import write_json
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.scored_dataset import ScoredDataset
from sipo.train.cli import main

Scores = dict[int, list[float | None]]
"""Of each prompt's candidates, in order; None is a failure. Prompts that are not named tie."""


def rescore(shards: Path, scores: Scores) -> None:
    for path in shards.glob("candidates-*.json"):
        index = json.loads(path.read_text())
        seen: Counter[int] = Counter()
        for row in index["samples"].values():
            prompt = row["prompt"]
            row["score"] = scores.get(prompt, [0.5] * 4)[seen[prompt]]
            row["failure"] = "unreadable" if row["score"] is None else None
            seen[prompt] += 1
        write_json(path, index)


def sides(data: ScoredDataset) -> list[tuple[str, str]]:
    keys = (data[i].key.split("+") for i in range(len(data)))
    return [(better, worse) for better, worse in keys]


def test_rewards_are_scores_within_their_prompt(shards: Path) -> None:
    """Scores 1, .5, .5, 0 and 1, 1, 1, .6 have the means .5 and .9; s - mean is .5, 0, 0, -.5 and
    .1, .1, .1, -.3, so Z^2 = (.5 + .12) / 8 = .0775, Z = .2784: r = 1, .5, .5, 0 and
    .5 + .5 * .1 / .2784 = .6796 thrice, 0.
    """
    rescore(shards, {0: [0.5, 0.0, 1.0, 0.5], 3: [1.0, 1.0, 0.6, 1.0]})
    data = ScoredDataset(shards)
    assert data.tied == 3
    rewards = [data[i].rewards for i in range(len(data))]
    expected = [(1.0, 0.0), (0.5, 0.5), (0.6796, 0.0), (0.6796, 0.6796)]
    assert rewards == [pytest.approx(both, abs=1e-4) for both in expected]


def test_each_candidate_once_an_epoch_the_best_with_the_worst(shards: Path) -> None:
    data = ScoredDataset(shards)
    names = [name for both in sides(data) for name in both]
    assert len(names) == len(set(names)) == len(data.rewards) == 20
    assert data.tied == 0
    for i in range(0, len(data), 2):  # prompts of four
        first, second = (data[j].rewards for j in (i, i + 1))
        assert first[0] >= second[0] >= second[1] >= first[1]


def test_latents_and_text_are_the_prompts_own(shards: Path) -> None:
    """The best beside the worst is a pair of the folder too: `pair` makes it of every prompt."""
    data, pairs = ScoredDataset(shards), PairDataset(shards)
    for i in range(0, len(data), 2):
        record = data[i]
        assert record.loser_conditioning is None
        [pair] = [
            pair
            for pair in (pairs[j] for j in range(len(pairs)))
            if pair.text == record.text
            and torch.equal(pair.winner, record.winner)
            and torch.equal(pair.loser, record.loser)
        ]
        assert record.margin == pytest.approx(pair.margin)
        same = record.conditioning["encoder_hidden_states"]
        assert torch.equal(same, pair.conditioning["encoder_hidden_states"])


def test_rewards_of_real_scores(shards: Path) -> None:
    """Against the whole data at once; unclipped ones average one half where nothing is clipped."""
    scores: dict[int, list[float]] = {}
    for path in shards.glob("candidates-*.json"):
        for row in json.loads(path.read_text())["samples"].values():
            scores.setdefault(row["prompt"], []).append(row["score"])
    moved = [s - fmean(group) for group in scores.values() for s in group]
    z = pstdev(moved)
    expected = sorted(min(1.0, max(0.0, 0.5 + m / z / 2)) for m in moved)
    assert sorted(ScoredDataset(shards).rewards.values()) == pytest.approx(expected)


def test_what_is_left_of_an_odd_number_meets_another_prompts(shards: Path) -> None:
    """Three judged candidates each of prompts 0, 1 and 2: their middle ones stand together, the
    last with itself."""
    three = [0.9, None, 0.2, 0.5]
    rescore(shards, {0: three, 1: three, 2: three})
    data = ScoredDataset(shards)
    assert len(data) == 5
    together, alone = data[3], data[4]
    assert together.loser_conditioning is not None
    assert together.rewards == pytest.approx((0.5, 0.5), abs=0.1)
    better, worse = alone.key.split("+")
    assert better == worse
    counts = Counter(name for both in sides(data) for name in both)
    assert sorted(counts.values()) == [1] * 8 + [2]


def test_no_prompt_that_has_both_is_refused(shards: Path) -> None:
    rescore(shards, {0: [0.3, None, None, None]})
    with pytest.raises(ValueError, match="holds no prompt whose candidates differ in score; gen"):
        ScoredDataset(shards)


def test_a_folder_twice_is_refused(shards: Path) -> None:
    with pytest.raises(ValueError, match="the same shards were given twice"):
        ScoredDataset([shards, shards])


def test_the_fingerprint_is_of_the_scores(shards: Path) -> None:
    before = ScoredDataset(shards).fingerprint()
    assert ScoredDataset(shards).fingerprint() == before
    rescore(shards, {0: [0.5, 0.0, 1.0, 0.5]})
    assert ScoredDataset(shards).fingerprint() != before


def test_the_command_trains_on_it(shards: Path, tiny_folder: Path, tmp_path: Path) -> None:
    """What is left out is counted before, and --reference_draws refused in one sentence."""
    rescore(shards, {0: [0.5, 0.0, 1.0, 0.5], 3: [1.0, 1.0, 0.6, 1.0]})
    words = ["--data", str(shards), "--backbone", str(tiny_folder), "--objective", "nft"]
    words += ["--out", str(tmp_path / "run"), "--report_to", "none", "--train_batch_size", "2"]
    planned = CliRunner().invoke(main, [*words, "--dry-run"])
    assert planned.exit_code == 0, planned.output
    facts = json.loads(planned.stdout)
    assert (facts["tied_prompts"], facts["pairs"]) == (3, 4)
    assert facts["settings"]["beta_dpo"] == 1
    trained = CliRunner().invoke(main, [*words, "--max_train_steps", "2"])
    assert trained.exit_code == 0, trained.output
    refused = CliRunner().invoke(main, [*words, "--reference_draws", "2"])
    assert refused.exit_code == 2
    assert "nft needs its predictions" in refused.output

"""Every scored candidate as training reads it: a better one beside a worse one of its prompt, each
with its own reward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum, sqrt
from pathlib import Path
from statistics import fmean

from sipo.datagen.storage.judged_candidates import Candidate, judged_candidates, side_by_side
from sipo.datagen.storage.latent_files import conditioning_of
from sipo.datagen.storage.pair_dataset import LatentPair, common_meta, open_folders

Group = Sequence[Candidate]
"""Of one prompt of one folder, so that one policy sampled them."""


class ScoredDataset:
    """An item is two candidates of a prompt: the best as "winner" with the worst as "loser", the
    second best with the second worst and so on. One that is left in the middle of an odd number
    goes with another prompt's, the last of them alone with itself: an epoch shows each once.

    Prompts whose candidates all score alike teach nothing: they are left out, and `tied` counts
    them. Raises ValueError for what PairDataset refuses, and where no prompt is left.
    """

    def __init__(self, folder: str | Path | Sequence[str | Path]) -> None:
        folders = open_folders(folder)
        candidates, self._fingerprint = judged_candidates(folders)
        self.meta = common_meta(folders)
        self.empty = conditioning_of(folders[0].embeddings(0), "")
        groups = _by_prompt(candidates)
        apart = [group for group in groups if group[0].score > group[-1].score]
        self.tied = len(groups) - len(apart)
        if not apart:
            names = ", ".join(str(opened.path) for opened in folders)
            raise ValueError(
                f"{names} holds no prompt whose candidates differ in score; generate more prompts, "
                "or more candidates of each"
            )
        self.rewards = normalised(apart)
        if len(self.rewards) < sum(map(len, apart)):
            raise ValueError("the same shards were given twice; give each folder once")
        self._couples = _couples(apart)

    def __len__(self) -> int:
        return len(self._couples)

    def __getitem__(self, i: int) -> LatentPair:
        better, worse = self._couples[i]
        rewards = self.rewards[better.key], self.rewards[worse.key]
        return side_by_side(better, worse, better.score - worse.score, rewards)

    def fingerprint(self) -> str:
        """sha256 over the candidates' indexes, which hold scores and the hashes of the tars."""
        return self._fingerprint


def normalised(groups: Sequence[Group]) -> Mapping[str, float]:
    """Key -> reward r = 1/2 + 1/2 clip((s - mean of the prompt) / Z, -1, 1) (Zheng et al. 2025,
    DiffusionNFT), Z the standard deviation of s - mean over all these candidates.

    There Z is the standard deviation of all s, and their code clips at 5 Z, so that r is mostly in
    .3 to .7: a scale that the mixing beta can take over. Ours does not grow with what differs
    between prompts alone, nor shrink with prompts that tie.
    """
    means = [fmean(candidate.score for candidate in group) for group in groups]
    advantages = {
        candidate.key: candidate.score - mean
        for group, mean in zip(groups, means, strict=True)
        for candidate in group
    }
    spread = sqrt(fsum(value**2 for value in advantages.values()) / len(advantages))
    return {key: (1 + max(-1, min(1, a / spread))) / 2 for key, a in advantages.items()}


def _by_prompt(candidates: Sequence[Candidate]) -> list[Group]:
    """The best first; equals in their order."""
    groups: dict[tuple[int, int], list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.prompt, []).append(candidate)
    return [sorted(group, key=lambda one: -one.score) for group in groups.values()]


def _couples(groups: Sequence[Group]) -> list[tuple[Candidate, Candidate]]:
    couples: list[tuple[Candidate, Candidate]] = []
    left: list[Candidate] = []
    for group in groups:
        half = len(group) // 2
        couples += zip(group[:half], group[::-1], strict=False)
        left += group[half : len(group) - half]
    return couples + list(zip(left[::2], left[1::2] + left[-1:], strict=False))

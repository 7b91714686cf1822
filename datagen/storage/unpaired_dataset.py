"""Every judged candidate as training reads it: desirable beside undesirable, of any prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sipo.datagen.storage.judged_candidates import judged_candidates, side_by_side
from sipo.datagen.storage.latent_files import conditioning_of
from sipo.datagen.storage.pair_dataset import LatentPair, common_meta, open_folders


class UnpairedDataset:
    """Correct candidates are desirable, the others undesirable; failed judgements are left out.

    Item i has desirable i and undesirable i, modulo their numbers, as "winner" and "loser": an
    epoch shows every verdict at least once, and both kinds equally often.
    Raises ValueError for what PairDataset refuses, and where there is only one kind.
    """

    def __init__(self, folder: str | Path | Sequence[str | Path]) -> None:
        folders = open_folders(folder)
        candidates, self._fingerprint = judged_candidates(folders)
        self.meta = common_meta(folders)
        self.empty = conditioning_of(folders[0].embeddings(0), "")
        self.desirable = [candidate for candidate in candidates if candidate.correct]
        self.undesirable = [candidate for candidate in candidates if not candidate.correct]
        if not self.desirable or not self.undesirable:
            lacking = "undesirable" if self.desirable else "desirable"
            names = ", ".join(str(opened.path) for opened in folders)
            raise ValueError(f"{names} holds no {lacking} candidates; generate more prompts")

    def __len__(self) -> int:
        return max(len(self.desirable), len(self.undesirable))

    def __getitem__(self, i: int) -> LatentPair:
        good = self.desirable[i % len(self.desirable)]
        bad = self.undesirable[i % len(self.undesirable)]
        return side_by_side(good, bad, margin=1.0, rewards=(1.0, 0.0))

    def fingerprint(self) -> str:
        """sha256 over the candidates' indexes, which hold verdicts and the hashes of the tars."""
        return self._fingerprint

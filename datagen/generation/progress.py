"""The bar of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sipo.common.bars import bar
from sipo.datagen.generation.candidates import Track
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.correct_so_far import correct_so_far


@contextmanager
def candidates_bar(folder: ShardFolder, todo: Sequence[int], progress: bool) -> Iterator[Track]:
    """A bar over candidates with rate, time left and the share that is correct so far."""
    per_prompt = folder.config.candidates
    total = len(folder.prompts) * per_prompt
    left = sum(len(folder.prompts_of(number)) * per_prompt for number in todo)
    with bar(total, "Candidates", "img", done=total - left, shown=progress) as shown:
        yield correct_so_far(shown)
        shown.total = shown.n  # --allocate may ask for fewer

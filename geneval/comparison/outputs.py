"""What runs made, side by side: the same prompts, image for image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sipo.common.files.urls import place_of
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval import layout
from sipo.geneval.evaluation_folder import read_config


@dataclass(frozen=True)
class Outputs:
    """`samples[p][i]` is image (or clip) i of prompt p."""

    root: Path
    prompts: list[Prompt]
    samples: list[list[Path]]

    @property
    def per_prompt(self) -> int:
        """Of each prompt there are so many, or more."""
        return min(map(len, self.samples))


def open_outputs(evaluation: Path) -> Outputs:
    """All images of an evaluation, or of a folder in GenEval's layout that was made elsewhere.

    Raises ValueError that names what is missing.
    """
    root = images_of(evaluation)
    prompts = layout.read_prompt_folders(root)
    return Outputs(root, prompts, layout.find_images(root, prompts, expected(root)))


def expected(root: Path) -> int | None:
    """Images per prompt that an evaluation of our own was asked for; None where it is not said."""
    count = read_config(root).get("images_per_prompt")
    return count if type(count) is int else None


def open_same(evaluations: Sequence[Path]) -> dict[str, Outputs]:
    """By the name each was given by. Raises ValueError when they differ in prompts, or repeat."""
    runs = {str(path): open_outputs(path) for path in evaluations}
    if len(runs) < len(evaluations):
        raise ValueError("the same evaluation was given twice; give each folder once")
    first, *others = runs.values()
    for other in others:
        layout.check_same_prompts(other.root, other.prompts, first.prompts)
    return runs


def images_of(evaluation: Path) -> Path:
    """Where the images lie: in the folder itself, or where `--images` said they are."""
    elsewhere = read_config(evaluation).get("images")
    return place_of(elsewhere) if isinstance(elsewhere, str) else evaluation

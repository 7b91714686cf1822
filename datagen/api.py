"""Preference pairs from Python: `sipo.generate`, and what a folder holds as data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.cluster.runner_settings import check_runner, refuse_loaded
from sipo.common.errors import in_python_words
from sipo.common.python_api import given, takes
from sipo.datagen.generate_defaults import complete
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.api import AnyJudge, Prompts, given_judge, given_prompts

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone
    from sipo.datagen.storage.folder_summary import FolderSummary
    from sipo.datagen.storage.pair_dataset import PairDataset


@takes(GenerateSettings)
def generate(
    prompts: Prompts | None = None,
    *,
    backbone: str | Path | Backbone | None = None,
    judge: AnyJudge | None = None,
    out: str | Path | None = None,
    settings: GenerateSettings | None = None,
    progress: bool = True,
    **options: object,
) -> FolderSummary:
    """Sample candidates for prompts, judge them, and write winner-loser pairs with latents.

    `prompts`: a file, or prompts, rows of GenEval's and texts; by default a suite's. `backbone`: a
    name, folder or hub id, or one that is loaded. `judge`: a name, a judge, or a function
    `(images, prompts) -> scores` in [0, 1]. Every other setting of `sipo-data generate` is a
    keyword, and goes over what `settings` says. The same call again goes on where it stopped.

    Returns what the folder holds. Raises ValueError for what cannot be met, TypeError for a
    keyword that is none.
    """
    from sipo.common.own_processes import processes_for
    from sipo.datagen import several_processes
    from sipo.datagen.generation.run import generate as run

    rows, own_judge = given_prompts(prompts), given_judge(judge)
    loaded = None if backbone is None or isinstance(backbone, str | Path) else backbone
    said = given(
        settings,
        options,
        prompts=prompts if rows is None else None,
        backbone=str(backbone) if backbone is not None and loaded is None else None,
        judge=judge if own_judge is None else None,
        out=out,
    )
    asked = complete(said, loaded.name if loaded else None).settings
    check_runner(asked)
    if loaded is None and own_judge is None:
        return several_processes.generate(asked, rows, progress)
    if asked.runner == "ray":
        refuse_loaded(backbone=loaded, judge=own_judge)
    processes_for(asked.devices, asked.device, loaded=True)  # refuses several
    return run(asked, rows, loaded, own_judge, progress)


def open_pairs(*folders: str | Path) -> PairDataset:
    """The pairs of one or several folders, as training reads them: a map-style torch Dataset.

    An item has `winner` and `loser` latents (C, H, W) float32, `conditioning` (what the text
    encoders gave), `text`, `tag`, `margin` and `key`. Raises ValueError for a folder that is
    missing, unfinished, damaged or without pairs.
    """
    from sipo.datagen.storage.pair_dataset import PairDataset

    with in_python_words():
        return PairDataset(list(folders))


def verdicts(folder: str | Path) -> list[dict[str, object]]:
    """Every judged candidate of a folder, a flat record each, as `pandas.DataFrame` takes them.

    Keys: `key`, `text`, `tag`, `candidate` (0 to N - 1 of its prompt), `seed`, `score` in [0, 1],
    `correct`, `reason`, and `kinds`, what is complained of ("count", "colour" ...). Raises
    ValueError for a folder that is missing or damaged.
    """
    from sipo.datagen.looking.verdict_table import read_verdicts

    with in_python_words():
        return read_verdicts(folder)

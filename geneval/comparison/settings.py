"""What the commands that compare evaluations are asked."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Self

from pydantic import model_validator

from sipo.common.files.urls import is_url
from sipo.common.settings import ARGUMENTS, OUT, StrictModel, setting
from sipo.feedback.registry import JUDGES
from sipo.feedback.settings import JUDGES_NAMED

_by = partial(setting, "Evaluation")
_EVAL = partial(setting, ARGUMENTS, default=...)
_JSON = partial(setting, "Output", "Print JSON instead of a table.", False)


class CompareSettings(StrictModel):
    eval_a: Path = _EVAL(
        "Evaluation, or result of VBench, to compare with.", metavar="EVAL_A", url=True
    )
    eval_b: Path = _EVAL("Evaluation, or result of VBench, to compare.", metavar="EVAL_B", url=True)
    metric: str | None = _by("Metric (of `metrics`) to compare by.", None, choices=JUDGES)
    ranks: Path | None = _by("Study (of `rank`) to compare by.", None)
    vbench: bool = _by("Compare results of VBench.", False)
    json_: bool = _JSON()

    @model_validator(mode="after")
    def _by_url_by_accuracies(self) -> Self:
        far = next((path for path in (self.eval_a, self.eval_b) if is_url(path)), None)
        if far and (self.metric or self.ranks or self.vbench):
            raise ValueError(
                f"{far} is a URL, where only accuracies are compared; leave --metric, --ranks and "
                "--vbench out, or give folders of this machine"
            )
        return self


class MetricsSettings(StrictModel):
    evals: tuple[Path, ...] = _EVAL("Evaluations to score.", metavar="EVAL...")
    metric: str = JUDGES_NAMED(
        "Evaluation", "Judge that scores; several are a table.", ..., parts="sipo.metrics"
    )
    metric_weights: Path | None = _by(
        "Weights of the one metric.", None, without="the metric's own"
    )
    metric_settings: Path | None = _by("JSON file of settings by judge.", None)
    batch_size: int = setting("Machine", "Images that are scored at a time.", 32, also="bs", ge=1)
    json_: bool = _JSON()


class AgreeSettings(StrictModel):
    eval_a: Path = _EVAL("Evaluation by one judge.", metavar="EVAL_A")
    eval_b: Path = _EVAL(
        "Evaluation of the same images by another, or of the same seeds.", metavar="EVAL_B"
    )
    images: Path | None = setting("Data", "Folder where the images lie.", None, without="EVAL_A")
    page: Path | None = setting("Output", "HTML file of the disagreements to write.", None)
    most: int = setting("Output", "Images on that page at most.", 100)
    json_: bool = _JSON()


class RankSettings(StrictModel):
    evals: tuple[Path, ...] = setting(ARGUMENTS, "Evaluations to rank.", (), metavar="EVAL...")
    out: Path = OUT(Path("rank"))
    rater: str = _by("Name of who ranks; each has a file.", "rater")
    images_per_prompt: int = _by("Images of each prompt to rank, of each run.", 1, ge=1)
    num_prompts: int | None = _by("Prompts to rank, drawn of the runs'.", None, without="all", ge=1)
    port: int = setting("Machine", "Port of the page.", 0, without="a free one")
    results: Path | None = _by("Study to evaluate; nothing is served.", None)
    json_: bool = _JSON()


class VbenchSettings(StrictModel):
    results: tuple[Path, ...] = _EVAL(
        "Files *_eval_results.json, or their folder.", metavar="RESULTS..."
    )
    json_: bool = _JSON()


class VbenchExportSettings(StrictModel):
    evaluation: Path = _EVAL("Evaluation whose clips are linked.", metavar="EVAL")
    prompts: Path = setting("Prompts", "VBench_full_info.json, or a .txt.", ...)
    out: Path = OUT(...)

"""Evaluation from Python: `sipo.evaluate` and `sipo.compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.cluster.runner_settings import check_runner, refuse_loaded
from sipo.common.errors import in_python_words
from sipo.common.files.text import read_text
from sipo.common.files.writing import write_text
from sipo.common.python_api import combined, takes
from sipo.feedback.api import AnyJudge, Prompts, given_judge, given_prompts
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.settings import EvalSettings

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone
    from sipo.geneval.comparison.paired import Comparison
    from sipo.geneval.summary import EvaluationSummary


@takes(EvalSettings)
def evaluate(
    backbone: str | Path | Backbone | None = None,
    *,
    prompts: Prompts | None = None,
    judge: AnyJudge | None = None,
    out: str | Path | None = None,
    settings: EvalSettings | None = None,
    **options: object,
) -> EvaluationSummary:
    """How often a model's images show what their prompts ask, by tag, with 95 % intervals.

    `backbone`: a name, folder or hub id, or one that is loaded; with `weights="runs/sipo"` a
    policy. `prompts`: a file, or prompts, rows of GenEval's and texts; by default a suite's.
    `images`: a folder or list to score instead of sampling. `judge`: a name, a judge, or a function
    `(images, prompts) -> scores`. Every other setting of `sipo-geneval` is a keyword, and goes
    over what `settings` says. The same call again goes on where it stopped.

    Raises ValueError for what cannot be met, TypeError for a keyword that is none.
    """
    from sipo.geneval.evaluate import evaluate as run

    own_judge = given_judge(judge)
    loaded = None if backbone is None or isinstance(backbone, str | Path) else backbone
    asked = combined(
        EvalSettings,
        settings,
        options,
        backbone=str(backbone) if backbone is not None and loaded is None else None,
        judge=judge if own_judge is None else None,
        out=out,
    )
    if prompts is not None:
        rows = given_prompts(prompts)
        file = prompts if rows is None else _kept(rows, asked.out)
        asked = combined(EvalSettings, asked, {"prompts": file})
    check_runner(asked)
    if asked.runner == "ray":
        from sipo.geneval.evaluate_on_ray import evaluate_on_ray

        refuse_loaded(backbone=loaded, judge=own_judge)
        return evaluate_on_ray(asked)
    return run(asked, loaded, own_judge)


def _kept(prompts: Sequence[Prompt], out: Path) -> Path:
    """Their file in `out`, so that the command that `summary.json` names can be given again."""
    file = out / "prompts.jsonl"
    text = "".join(prompt.to_line() + "\n" for prompt in prompts)
    if file.is_file() and read_text(file) != text:
        raise ValueError(f"prompts are not those of {str(file)!r}; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    return file


def compare(a: str | Path, b: str | Path) -> Comparison:
    """The gain of evaluation `b` over `a`, paired by prompt: overall and by tag.

    Each with `a`, `b`, `difference` (b - a), its 95 % `interval` and whether it is `clear`. Raises
    ValueError where the two differ in prompts, images per prompt, seed or judge.
    """
    from sipo.geneval.comparison.paired import compare as paired

    with in_python_words():
        return paired(a, b)

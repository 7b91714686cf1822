"""The card of a loop's best policy: what training says, and what the loop has measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sipo.common.files.writing import atomic
from sipo.common.pictures.picture import Clip, to_bytes
from sipo.common.statistics import Difference
from sipo.geneval.looking.judged_rows import open_picture, prompt_of, read_judged
from sipo.loop.attempts import Attempt
from sipo.loop.gallery import chosen_prompts
from sipo.loop.result import LoopSummary, RoundSummary
from sipo.loop.tables import became
from sipo.train.sharing.model_card import Evaluation, Picture, write_model_card

PICTURES = "pictures"  # in the best run's folder


def write_best_card(out: Path, result: LoopSummary) -> Path | None:
    """Beside the weights of the best round; None where that is the base."""
    best = result.best_round
    if not best.round:
        return None
    attempt = Attempt(best.round, best.attempt)
    run = out / attempt.name("train")
    return write_model_card(
        run,
        str(result.settings.get("backbone") or ""),
        Evaluation(
            gains=list(_gains(result, best)),
            measured_by=_measured_by(result),
            rounds=[_round(result, entry) for entry in result.attempts],
            pictures=_pictures(run, out / "round-0" / "eval", out / attempt.name("eval")),
            warnings=[text for text in (result.warning, result.quality_warning) if text],
        ),
    )


def _gains(result: LoopSummary, best: RoundSummary) -> Iterator[Sequence[str]]:
    tested = next((one for one in result.test if one.round == best.round and one.gain), None)
    if tested is not None and tested.gain is not None:
        yield _gain("Overall, test prompts that no choice has looked at", tested.gain)
    if best.gain is not None:
        yield _gain("Overall, validation prompts that chose the round", best.gain)
    for tag, gain in (best.tag_gains or {}).items():
        yield _gain(f"{tag}, validation", gain)


def _gain(what: str, gain: Difference) -> tuple[str, ...]:
    bounds = f"none: {gain.no_interval}"
    if gain.interval is not None:
        bounds = "{:+.3f} to {:+.3f}".format(*gain.interval)
    return what, f"{gain.a:.3f}", f"{gain.b:.3f}", f"{gain.difference:+.3f}", bounds


def _measured_by(result: LoopSummary) -> str:
    """Who measured, and how."""
    judge, evaluator = (str(one.get("id", "?")) for one in (result.judge, result.evaluator))
    said = (
        f"Shares of correct pictures by the evaluator `{evaluator}`; `{judge}` chose the pairs. "
        "The same prompts and noise on both sides; intervals are bootstrapped over prompts, paired "
        "and stratified by tag."
    )
    return f"{said} There is no test: {result.no_test}." if result.no_test else said


def _round(result: LoopSummary, entry: RoundSummary) -> tuple[str, ...]:
    pairs = "" if entry.pairs is None else str(entry.pairs)
    return entry.name, became(result, entry), f"{entry.overall:.3f}", pairs


def _pictures(run: Path, before: Path, after: Path) -> list[Picture]:
    """The first picture of each prompt that the report shows, as files beside the weights."""
    (run / PICTURES).mkdir(exist_ok=True)
    sides = [read_judged(before, "before"), read_judged(after, "after")]
    found = []
    for place, metadata in enumerate(chosen_prompts(sides)):
        opened = [open_picture(one, one.rows[metadata][0]) for one in sides]
        shown = [picture for picture in opened if picture is not None]
        files = [f"{PICTURES}/{place:02d}-{one.name}.png" for one in sides]
        if len(shown) < len(files):  # the evaluation's have been taken away
            continue
        for picture, file in zip(shown, files, strict=True):
            first = picture.frames[0] if isinstance(picture, Clip) else picture
            with atomic(run / file) as written:
                written.write(to_bytes(first))
        found.append(Picture(prompt_of(metadata).text, *files))
    return found

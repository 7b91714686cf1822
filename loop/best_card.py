"""The card of a loop's best policy: what training says, and what the loop has measured."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

from sipo.common.files.writing import atomic
from sipo.common.statistics import Difference
from sipo.loop.attempts import Attempt
from sipo.loop.gallery import Thumbnail, cards
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
    found = []
    for place, card in enumerate(cards(before, after)):
        sides = (("before", card.before[0]), ("after", card.after[0]))
        names = [_write(run, f"{place:02d}-{side}", thumbnail) for side, thumbnail in sides]
        found.append(Picture(card.prompt, *names))
    return found


def _write(run: Path, name: str, picture: Thumbnail) -> str:
    """From its data URI, "data:image/png;base64,..."."""
    head, _, data = picture.uri.partition(",")
    suffix = head.partition("/")[2].partition(";")[0].replace("jpeg", "jpg")
    file = f"{PICTURES}/{name}.{suffix}"
    with atomic(run / file) as written:
        written.write(base64.b64decode(data))
    return file

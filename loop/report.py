"""`report.html`: one page that stands alone, with the tables, the curves and the images."""

from __future__ import annotations

from pathlib import Path

from sipo.common.files.writing import write_text
from sipo.common.records import read_record
from sipo.loop.curves import charts, tags_of
from sipo.loop.gallery import gallery
from sipo.loop.result import LoopSummary
from sipo.loop.tables import became, training_warnings
from sipo.loop.words import headline, sentence_of_test
from sipo.pages.charts import drawn
from sipo.pages.html import render

LOOP, REPORT = "loop.json", "report.html"


def write_report(out: Path, result: LoopSummary) -> Path:
    """From `loop.json`'s content and the rounds' folders; returns where the page is."""
    write_text(out / REPORT, report(out, result))
    return out / REPORT


def read_result(out: Path) -> LoopSummary:
    """Raises ValueError where no round is done yet."""
    if not (out / LOOP).is_file():
        raise ValueError(
            f"{str(out)!r} has no {LOOP}; give a loop's folder that has evaluated its base"
        )
    return read_record(out / LOOP, LoopSummary, "run the same sipo-loop again")


def report(out: Path, result: LoopSummary, live: str = "", goes_on: bool = False) -> str:
    """The page; `live` is what the loop does now, where the page is served while it `goes_on`."""
    first, best = result.rounds[0], result.best_round
    return render(
        Path(__file__).with_name(REPORT),
        title=f"sipo-loop: {first.overall:.3f} to {best.overall:.3f}",
        result=result,
        rounds=[(entry, became(result, entry)) for entry in result.attempts],
        tags=tags_of(result.rounds),
        headline=headline(result, goes_on),
        sentence_of_test=sentence_of_test(result),
        training_warnings=training_warnings(result),
        charts=[drawn(chart) for chart in charts(out, result)],
        gallery=gallery(out, result),
        live=live,
    )

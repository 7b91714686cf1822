"""`report.html`: one page that stands alone, with the table, the curves and the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sipo.common.files.writing import write_text
from sipo.common.statistics import Difference
from sipo.feedback.prompts.prompt import TAGS
from sipo.loop.attempts import Attempt
from sipo.loop.gallery import cards
from sipo.loop.result import LoopSummary, RoundSummary
from sipo.loop.tables import became, training_warnings
from sipo.pages.chart_kinds import Chart, Line, Point, binned
from sipo.pages.charts import svg
from sipo.pages.html import render
from sipo.train.monitor.log_rows import read_rows


def write_report(out: Path, result: LoopSummary) -> Path:
    """From `loop.json`'s content and the rounds' folders; returns where the page is."""
    first, best = result.rounds[0], result.best_round
    shown = best if best.round else result.rounds[-1]  # of the base alone there is nothing to show
    dynamics = reward_chart(out, result.accepted)
    path = out / "report.html"
    page = render(
        Path(__file__).with_name("report.html"),
        title=f"sipo-loop: {first.overall:.3f} to {best.overall:.3f}",
        result=result,
        rounds=[(entry, became(result, entry)) for entry in result.attempts],
        first=first,
        best=best,
        shown=shown,
        tags=_tags(result.rounds),
        headline=headline(result),
        sentence_of_test=sentence_of_test(result),
        training_warnings=training_warnings(result.attempts),
        score_chart=svg(score_chart(result), "accuracy"),
        dynamics_chart=dynamics and svg(dynamics, "implicit reward"),
        cards=cards(out / "round-0" / "eval", out / _attempt(shown).name("eval")),
    )
    write_text(path, page)
    return path


def _attempt(entry: RoundSummary) -> Attempt:
    return Attempt(entry.round, entry.attempt)


def _tags(rounds: Sequence[RoundSummary]) -> list[str]:
    return [tag for tag in TAGS if tag in rounds[0].tags]


def headline(result: LoopSummary) -> str:
    """What came out, in one or two sentences."""
    first, best, done = result.rounds[0], result.best_round, len(result.rounds) - 1
    if not done:
        return f"The base scores {first.overall:.3f}; no round is done yet."
    rounds, minutes = f"{done} round{'s' * (done > 1)}", sum(e.minutes for e in result.attempts)
    if best.gain is None:
        said = (
            f"No round of {done} is above the base in Overall, which scores {first.overall:.3f}; "
            f"the loop ends with the base after {minutes:.0f} minutes."
        )
    else:
        ends = "" if done == 1 else f" The loop ends with round {best.round}, its best."
        said = (
            f"Overall went from {first.overall:.3f} to {best.overall:.3f} in {rounds} and "
            f"{minutes:.0f} minutes: {_verdict(best.gain)}.{ends}"
        )
    return said + _rejected(result) + _warned(result)


def sentence_of_test(result: LoopSummary) -> str:
    """What the prompts say that no choice has looked at."""
    if result.no_test:
        return f"There is no test: {result.no_test}."
    tested = {entry.round: entry for entry in result.test}
    base, best = tested.get(0), tested.get(result.best)
    if base is None or best is None:  # the loop still goes on
        return ""
    if best.gain is None:
        return f"On the test prompts the base scores {base.overall:.3f}."
    return (
        f"On the test prompts, which no choice has looked at, round {best.round} went from "
        f"{base.overall:.3f} to {best.overall:.3f}: {_verdict(best.gain)}."
    )


def _verdict(gain: Difference) -> str:
    """In the figures that are shown with it."""
    verdict, bounds = "no clear change", f"no interval: {gain.no_interval}"
    if gain.interval is not None:
        low, high = (round(end, 3) + 0.0 for end in gain.interval)  # as they are shown
        bounds = f"95% interval {low:+.3f} to {high:+.3f}"
        if gain.clear and not low <= 0 <= high:
            verdict = "a clear gain" if low > 0 else "a clear loss"
    return f"{verdict} ({gain.difference:+.3f}, {bounds})"


def _rejected(result: LoopSummary) -> str:
    skipped = [entry.name for entry in result.rounds if not entry.accepted]
    again = [e.name for e in result.rounds if e.accepted and e.rejected]
    said = ""
    if again:
        said += f" Accepted only when trained again: {', '.join(map(_plain, again))}."
    if skipped:
        said += f" Rejected and skipped: {', '.join(map(_plain, skipped))}."
    return said


def _plain(name: str) -> str:
    return name.removesuffix(" trained again")


def _warned(result: LoopSummary) -> str:
    count = len(training_warnings(result.attempts))
    if not count:
        return ""
    things = "thing" if count == 1 else "things"
    return f" Training warned of {count} {things}, below: look at the images before you use it."


def score_chart(result: LoopSummary) -> Chart:
    """Overall and tags by round, and overall as the judge sees it, of what was accepted; what was
    rejected stands apart.
    """
    rounds = result.accepted

    def curve(values: list[float]) -> list[Point]:
        return [(entry.round, value) for entry, value in zip(rounds, values, strict=True)]

    tags = [
        Line(tag.replace("_", " "), curve([entry.tags[tag] for entry in rounds]), f"c{number}")
        for number, tag in enumerate(_tags(rounds), 1)
    ]
    overall = Line("overall", curve([entry.overall for entry in rounds]), width=2.4)
    judged = curve([entry.judge_overall for entry in rounds])
    lost = [(entry.round, entry.overall) for entry in result.attempts if not entry.accepted]
    rejected = [Line("overall, rejected", lost, "bad", width=0)] if lost else []
    lines = [*tags, overall, Line("overall, judge", judged, dashed=True), *rejected]
    return Chart(lines, "round")


def reward_chart(out: Path, rounds: Sequence[RoundSummary]) -> Chart | None:
    """The implicit rewards of winners and losers over all pairs seen, accepted rounds end to end.

    psi = -beta/2 (mse_theta - mse_ref): healthy training raises the winner's and lowers the
    loser's; both falling means that images decay, whatever the gap says.
    """
    winners: list[Point] = []
    losers: list[Point] = []
    ends = [0.0]
    for entry in rounds[1:]:
        path = out / _attempt(entry).name("train") / "log.jsonl"
        seen = [(ends[-1] + row["pairs_seen"], row) for row in read_rows(path)]
        watched = [(x, row) for x, row in seen if "psi_w" in row]
        winners += binned([(x, row["psi_w"]) for x, row in watched])
        losers += binned([(x, row["psi_l"]) for x, row in watched])
        ends.append(seen[-1][0] if seen else ends[-1])
    if not winners:
        return None
    lines = [Line("winner", winners, "good"), Line("loser", losers, "bad")]
    return Chart(lines, "pairs seen", borders=ends[1:-1], levels=[0])

"""`report.html`: one page that stands alone, with the table, the curves and the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sipo.common.files.writing import write_text
from sipo.feedback.prompts.prompt import TAGS
from sipo.loop.gallery import cards
from sipo.loop.summary import LoopSummary, RoundSummary
from sipo.loop.tables import training_warnings
from sipo.pages.charts import Chart, Line, Point, binned, svg
from sipo.pages.html import render
from sipo.train.monitor.log_rows import read_rows


def write_report(out: Path, result: LoopSummary) -> Path:
    """From `loop.json`'s content and the rounds' folders; returns where the page is."""
    rounds = result.rounds
    first, last = rounds[0], rounds[-1]
    dynamics = reward_chart(out, last.round)
    path = out / "report.html"
    page = render(
        Path(__file__).with_name("report.html"),
        title=f"sipo-loop: {first.overall:.3f} to {last.overall:.3f}",
        result=result,
        rounds=rounds,
        first=first,
        last=last,
        tags=_tags(rounds),
        headline=headline(rounds),
        training_warnings=training_warnings(rounds),
        score_chart=svg(score_chart(rounds), "accuracy"),
        dynamics_chart=dynamics and svg(dynamics, "implicit reward"),
        cards=cards(out / "round-0" / "eval", out / f"round-{last.round}" / "eval"),
    )
    write_text(path, page)
    return path


def _tags(rounds: Sequence[RoundSummary]) -> list[str]:
    return [tag for tag in TAGS if tag in rounds[0].tags]


def headline(rounds: Sequence[RoundSummary]) -> str:
    """What came out, in one sentence."""
    first, last = rounds[0], rounds[-1]
    if last is first or last.gain is None:
        return f"The base scores {first.overall:.3f}; no round is done yet."
    gain = last.gain
    verdict, bounds = "no clear change", f"no interval: {gain.no_interval}"
    if gain.interval is not None:
        low, high = (round(end, 3) + 0.0 for end in gain.interval)  # as they are shown
        bounds = f"95% interval {low:+.3f} to {high:+.3f}"
        if gain.clear and not low <= 0 <= high:
            verdict = "a clear gain" if low > 0 else "a clear loss"
    minutes = sum(entry.minutes for entry in rounds)
    warned = ""
    if count := len(training_warnings(rounds)):
        things = "thing" if count == 1 else "things"
        warned = (
            f" Training warned of {count} {things}, below: look at the images before you use it."
        )
    return (
        f"Overall went from {first.overall:.3f} to {last.overall:.3f} in "
        f"{last.round} round{'s' * (last.round > 1)} and {minutes:.0f} minutes: {verdict} "
        f"({gain.difference:+.3f}, {bounds}).{warned}"
    )


def score_chart(rounds: Sequence[RoundSummary]) -> Chart:
    """Overall and tags by round, and overall as the judge sees it."""

    def curve(values: list[float]) -> list[Point]:
        return [(entry.round, value) for entry, value in zip(rounds, values, strict=True)]

    tags = [
        Line(tag.replace("_", " "), curve([entry.tags[tag] for entry in rounds]), f"c{number}")
        for number, tag in enumerate(_tags(rounds), 1)
    ]
    overall = Line("overall", curve([entry.overall for entry in rounds]), width=2.4)
    judged = curve([entry.judge_overall for entry in rounds])
    return Chart([*tags, overall, Line("overall, judge", judged, dashed=True)], "round")


def reward_chart(out: Path, last: int) -> Chart | None:
    """The implicit rewards of winners and losers over all pairs seen, rounds end to end.

    psi = -beta/2 (mse_theta - mse_ref): healthy training raises the winner's and lowers the
    loser's; both falling means that images decay, whatever the gap says.
    """
    winners: list[Point] = []
    losers: list[Point] = []
    ends = [0.0]
    for number in range(1, last + 1):
        path = out / f"round-{number}" / "train" / "log.jsonl"
        seen = [(ends[-1] + row["pairs_seen"], row) for row in read_rows(path)]
        watched = [(x, row) for x, row in seen if "psi_w" in row]
        winners += binned([(x, row["psi_w"]) for x, row in watched])
        losers += binned([(x, row["psi_l"]) for x, row in watched])
        ends.append(seen[-1][0] if seen else ends[-1])
    if not winners:
        return None
    lines = [Line("winner", winners, "good"), Line("loser", losers, "bad")]
    return Chart(lines, "pairs seen", borders=ends[1:-1], levels=[0])

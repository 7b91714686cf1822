"""The curves of a loop's report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sipo.common.statistics import Interval
from sipo.feedback.prompts.prompt import EVERY_TAG
from sipo.loop.attempts import Attempt
from sipo.loop.result import LoopSummary, RoundSummary
from sipo.pages.chart_kinds import Chart, Line, Point, binned
from sipo.train.monitor.log_rows import read_rows

ROUND = "round"


def tags_of(rounds: Sequence[RoundSummary]) -> list[str]:
    return [tag for tag in EVERY_TAG if tag in rounds[0].tags]


def charts(out: Path, result: LoopSummary) -> Iterator[Chart]:
    """Those that there is something to draw of."""
    yield score_chart(result)
    yield tag_chart(result)
    found = (gain_chart(result), quality_chart(result), reward_chart(out, result.accepted))
    yield from (chart for chart in found if chart)


def score_chart(result: LoopSummary) -> Chart:
    """Overall by round, and as the judge and the test see it, of what was accepted; what was
    rejected stands apart.
    """
    rounds = result.accepted
    bands: list[Interval | None] = [entry.interval for entry in rounds]
    lines = [
        Line("validation", _curve(rounds, lambda e: e.overall), width=2.4, band=bands),
        Line("by the judge", _curve(rounds, lambda e: e.judge_overall), "c1", dashed=True),
    ]
    if result.test:
        tested: list[Point] = [(entry.round, entry.overall) for entry in result.test]
        lines.append(Line("test", tested, "c2"))
    lost: list[Point] = [(e.round, e.overall) for e in result.attempts if not e.accepted]
    if lost:
        lines.append(Line("rejected", lost, "bad", width=0))
    return Chart(
        lines,
        ROUND,
        "Overall by round",
        "Shares of right images of the rounds that were kept: on the prompts that decide, with "
        "95% intervals; as the judge that gives reward sees the same images; and on the test. "
        "Single red dots were rejected.",
    )


def tag_chart(result: LoopSummary) -> Chart:
    lines = [
        Line(tag.replace("_", " "), [(e.round, e.tags[tag]) for e in result.accepted], f"c{number}")
        for number, tag in enumerate(tags_of(result.rounds), 1)
    ]
    return Chart(
        lines,
        ROUND,
        "Right images by task",
        "Shares on validation, of the rounds that were kept. Few prompts stand behind each: "
        "small steps are chance.",
    )


def gain_chart(result: LoopSummary) -> Chart | None:
    """Over the base by both judges."""
    rounds = result.accepted
    if len(rounds) < 2:
        return None
    first = rounds[0]
    return Chart(
        [
            Line("evaluator", _curve(rounds, lambda e: e.overall - first.overall)),
            Line(
                *("judge", _curve(rounds, lambda e: e.judge_overall - first.judge_overall), "c1"),
                dashed=True,
            ),
        ],
        ROUND,
        "Judge against evaluator",
        "Gains over the base in Overall. Where the judge that gives reward gains and the "
        "evaluator, which never does, stays behind, the policy learns the judge's taste.",
        levels=[0],
    )


def quality_chart(result: LoopSummary) -> Chart | None:
    """As shares of the base's, of what the base has."""
    rounds = result.accepted
    before = rounds[0].quality
    ways: list[tuple[str, str, float | None, Callable[[RoundSummary], float | None]]] = [
        ("sharpness", "c3", before.sharpness, lambda e: e.quality.sharpness),
        (
            *("confidence on single objects", "c5", before.single_object_confidence),
            lambda e: e.quality.single_object_confidence,
        ),
    ]
    lines = [
        Line(name, [(e.round, now / base) for e in rounds if (now := of(e)) is not None], color)
        for name, color, base, of in ways
        if base
    ]
    if not lines or len(rounds) < 2:
        return None
    return Chart(
        lines,
        ROUND,
        "How the pictures are",
        "As shares of the base's, which is 1: what shares of right images say nothing of. They "
        "fall where pictures decay.",
        levels=[1],
    )


def reward_chart(out: Path, rounds: Sequence[RoundSummary]) -> Chart | None:
    """The implicit rewards of winners and losers over all pairs seen, accepted rounds end to end.

    psi = -beta/2 (mse_theta - mse_ref): healthy training raises the winner's and lowers the
    loser's; both falling means that images decay, whatever the gap says.
    """
    winners: list[Point] = []
    losers: list[Point] = []
    ends = [0.0]
    for entry in rounds[1:]:
        path = out / Attempt(entry.round, entry.attempt).name("train") / "log.jsonl"
        seen = [(ends[-1] + row["pairs_seen"], row) for row in read_rows(path)]
        watched = [(x, row) for x, row in seen if "psi_w" in row]
        winners += binned([(x, row["psi_w"]) for x, row in watched], 40)
        losers += binned([(x, row["psi_l"]) for x, row in watched], 40)
        ends.append(seen[-1][0] if seen else ends[-1])
    if not winners:
        return None
    return Chart(
        [Line("winner", winners, "good"), Line("loser", losers, "bad")],
        "pairs seen",
        "Implicit rewards while training",
        "Winners should rise and losers fall, in each round from 0 anew; where both fall, images "
        "may decay even though the gap widens. Dotted lines part rounds.",
        borders=ends[1:-1],
        levels=[0],
    )


def _curve(rounds: Sequence[RoundSummary], value: Callable[[RoundSummary], float]) -> list[Point]:
    return [(entry.round, value(entry)) for entry in rounds]

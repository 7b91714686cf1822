"""`report.html`: one page that stands alone, with the table, the curves and the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sipo.feedback.prompts.prompt import TAGS
from sipo.loop.gallery import cards
from sipo.loop.tables import training_warnings
from sipo.pages.charts import Point, Series, binned, line_chart
from sipo.train.monitor.log_rows import read_rows

_HERE = Path(__file__).parent


def write_report(out: Path, result: dict[str, Any]) -> Path:
    """From `loop.json`'s content and the rounds' folders; returns where the page is."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from sipo.common.files.writing import write_text

    rounds = result["rounds"]
    last = rounds[-1]["round"]
    page = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html")
    scores, dynamics = score_series(rounds), reward_series(out, last)
    path = out / "report.html"
    write_text(
        path,
        page.render(
            result=result,
            rounds=rounds,
            first=rounds[0],
            last=rounds[-1],
            tags=[tag for tag in TAGS if tag in rounds[0]["tags"]],
            headline=headline(rounds),
            training_warnings=training_warnings(rounds),
            scores=scores,
            score_chart=Markup(line_chart(scores, "round", "accuracy")),
            dynamics=dynamics[0],
            dynamics_chart=Markup(line_chart(*dynamics)) if dynamics[0] else "",
            cards=cards(out / "round-0" / "eval", out / f"round-{last}" / "eval"),
        ),
    )
    return path


def headline(rounds: list[dict[str, Any]]) -> str:
    """What came out, in one sentence."""
    first, last = rounds[0], rounds[-1]
    if last is first:
        return f"The base scores {first['overall']:.3f}; no round is done yet."
    gain = last["gain"]
    verdict, bounds = "no clear change", f"no interval: {gain.get('no_interval')}"
    if gain["interval"] is not None:
        low, high = (round(end, 3) + 0.0 for end in gain["interval"])  # as they are shown
        bounds = f"95% interval {low:+.3f} to {high:+.3f}"
        if gain.get("clear", True) and not low <= 0 <= high:
            verdict = "a clear gain" if low > 0 else "a clear loss"
    minutes = sum(entry["minutes"] for entry in rounds)
    warned = ""
    if count := len(training_warnings(rounds)):
        things = "thing" if count == 1 else "things"
        warned = (
            f" Training warned of {count} {things}, below: look at the images before you use it."
        )
    return (
        f"Overall went from {first['overall']:.3f} to {last['overall']:.3f} in "
        f"{last['round']} round{'s' * (last['round'] > 1)} and {minutes:.0f} minutes: {verdict} "
        f"({gain['difference']:+.3f}, {bounds}).{warned}"
    )


def score_series(rounds: list[dict[str, Any]]) -> list[Series]:
    """Overall and tags by round, and overall as the judge sees it."""

    def curve(values: list[float]) -> list[Point]:
        return [(entry["round"], value) for entry, value in zip(rounds, values, strict=True)]

    tags = [
        Series(tag, curve([entry["tags"][tag] for entry in rounds]), f"c{number}")
        for number, tag in enumerate((tag for tag in TAGS if tag in rounds[0]["tags"]), 1)
    ]
    return [
        *tags,
        Series("overall", curve([entry["overall"] for entry in rounds]), "c0 thick"),
        Series("overall, judge", curve([e["judge_overall"] for e in rounds]), "c0 dashed"),
    ]


def reward_series(out: Path, last: int) -> tuple[list[Series], str, str, list[float]]:
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
        winners += binned([(x, row["psi_w"]) for x, row in seen])
        losers += binned([(x, row["psi_l"]) for x, row in seen])
        ends.append(seen[-1][0] if seen else ends[-1])
    series = [Series("winner", winners, "good"), Series("loser", losers, "bad")] if winners else []
    return series, "pairs seen", "implicit reward", ends[1:-1]

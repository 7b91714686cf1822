"""People rank runs: what is shown, what is kept, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.cli import main
from sipo.geneval.comparison.rank_session import RankSession
from sipo.geneval.comparison.ranking import Ranking, agreement_of, rank_results
from sipo.geneval.evaluation_folder import write_json
from sipo.geneval.layout import image_name, save_image, write_prompt_folders
from sipo.pages.ratings import append_answer

MakeRuns = Callable[..., list[Path]]


@pytest.fixture
def make_runs(tmp_path: Path, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch) -> MakeRuns:
    """Folders in GenEval's layout; the red of an image is its run's, the green its prompt's."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str, per_prompt: int = 2) -> list[Path]:
        for red, name in enumerate(names):
            write_prompt_folders(Path(name), prompts)
            for green, index in product(range(len(prompts)), range(per_prompt)):
                image = Image.new("RGB", (8, 8), (red, green, index))
                save_image(image, Path(name, image_name(green, index)))
        return [Path(name) for name in names]

    return make


def red_of(session: RankSession, task: int, item: int) -> int:
    with Image.open(session.items[task].shown[item][1]) as image:
        return int(image.getpixel((0, 0))[0])  # type: ignore[index, arg-type]


def test_what_is_shown_is_blinded_and_shuffled(make_runs: MakeRuns) -> None:
    session = RankSession(make_runs("base", "tuned", "other"), Path("study"), "ann", 2)
    shown = session.describe()
    assert len(shown["tasks"]) == 12
    said = json.dumps(shown["tasks"])
    assert not any(name in said for name in ("base", "tuned", "other"))
    assert [{red_of(session, n, i) for i in range(3)} for n in range(12)] == [{0, 1, 2}] * 12
    assert len({tuple(red_of(session, n, i) for i in range(3)) for n in range(12)}) > 2
    assert [item.name[-4:] for item in session.items] == ["0000"] * 6 + ["0001"] * 6
    assert [item.name for item in session.items] != sorted(item.name for item in session.items)
    again = RankSession([Path(n) for n in ("base", "tuned", "other")], Path("study"), "ann", 2)
    assert again.items == session.items
    bea = RankSession([Path(n) for n in ("base", "tuned", "other")], Path("study"), "bea", 2)
    assert bea.items != session.items


def test_an_answer_names_the_runs_and_is_found_again(make_runs: MakeRuns) -> None:
    runs = make_runs("base", "tuned")
    session = RankSession(runs, Path("study"), "ann", 1)
    session.answer(3, [1, 0])
    session.answer(3, [0, 1])
    [line, last] = Path("study/answers/ann.jsonl").read_text(encoding="utf-8").splitlines()
    row = json.loads(last)
    assert row["order"] == row["shown"] == json.loads(line)["order"][::-1]
    assert row["prompt"] == session.items[3].prompt
    again = RankSession(runs, Path("study"), "ann", 1).describe()["tasks"]
    assert [task["answer"] for task in again] == [None, None, None, [0, 1], None, None]
    for wrong in ([0, 0], [0], [0, 1, 2], "10", 7, [[0], 1]):
        with pytest.raises(ValueError, match="choose every image once"):
            session.answer(0, wrong)


def test_what_cannot_be_ranked_is_refused(make_runs: MakeRuns) -> None:
    base, tuned = make_runs("base", "tuned")
    study = Path("study")
    RankSession([base, tuned], study, "ann", 1)
    refusals: list[tuple[list[Path], str, str]] = [
        ([base], "ann", "give two or more"),
        ([base, base], "ann", "given twice"),
        ([base, tuned], "../ann", "--rater '../ann' is no name"),
        ([base, Path("nowhere")], "ann", "'nowhere' is not a folder"),
        ([base, *make_runs("more")], "ann", "was started with evaluations .runs.* another --out"),
    ]
    for runs, rater, sentence in refusals:
        with pytest.raises(ValueError, match=sentence):
            RankSession(runs, study, rater, 1)
    (tuned / "00001/samples/0000.png").unlink()
    with pytest.raises(ValueError, match="1 of 12 images are missing"):
        RankSession([base, tuned], Path("new"), "ann", 1)


def orders(*rows: str) -> list[Ranking]:
    """A word a rater, of runs from best to worst, all for one item."""
    return [
        Ranking(f"r{n}", "i", "p", tuple((run,) for run in word)) for n, word in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("rows", "w", "tau"),
    [
        (("abc", "abc"), 1, 1),
        # Rank sums 4, 4, 4 and all three pairs turned round.
        (("abc", "cba"), 0, -1),
        # Rank sums 3, 3, 6: S = 6, W = 12 * 6 / (4 * 24); one pair of three turned round.
        (("abc", "bac"), 0.75, 1 / 3),
        # M = 3, K = 4: rank sums 4, 6, 8, 12, S = 35,
        # W = 12 * 35 / (9 * 60); tau of the pairs 2/3, 2/3, 1/3.
        (("abcd", "acbd", "bacd"), 7 / 9, 5 / 9),
        (("ab", "ba", "ab"), 1 / 9, -1 / 3),
    ],
)
def test_agreement_by_hand(rows: tuple[str, ...], w: float, tau: float) -> None:
    found = agreement_of(orders(*rows))
    assert found.kendall_w == pytest.approx(w)
    assert found.kendall_tau == pytest.approx(tau)
    assert found.items == 1


def test_w_is_the_mean_spearman_correlation() -> None:
    """(M W - 1) / (M - 1) is the mean over pairs of raters (Kendall & Babington Smith 1939)."""
    group = orders("abcde", "baced", "ecabd")
    squares = [
        sum((x.rank(run) - y.rank(run)) ** 2 for run in "abcde")
        for x, y in ((group[0], group[1]), (group[0], group[2]), (group[1], group[2]))
    ]
    spearman = sum(1 - 6 * square / (5 * 24) for square in squares) / 3
    assert (3 * (agreement_of(group).kendall_w or 0) - 1) / 2 == pytest.approx(spearman)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Four prompts, two raters: b first on three prompts for both, a first on the fourth."""
    folder = tmp_path / "study"
    folder.mkdir()
    write_json(folder / "config.json", {"runs": {"a": "", "b": "", "c": ""}})
    for rater, number in product(("ann", "bea"), range(4)):
        order = ["b", "a", "c"] if number < 3 else ["a", "c", "b"]
        row = {"item": f"{number}", "prompt": f"p{number}", "order": order}
        append_answer(folder / "answers" / f"{rater}.jsonl", row)
    return folder


def test_results_by_hand(study: Path) -> None:
    """Runs resampled by prompt: b's share of first ranks is Binomial(4, 3/4) / 4, of which
    P(0) = 1/256 and P(<= 1) = 13/256 > 0.025, so the interval is [1/4, 1]."""
    result = rank_results(study)
    assert result.runs["b"].rank_1.to_dict() == {"value": 0.75, "interval": [0.25, 1.0]}
    assert result.runs["b"].mean_rank.value == 1.5
    assert result.runs["c"].rank_1.to_dict() == {"value": 0.0, "interval": [0.0, 0.0]}
    assert result.wins["b"] == {"a": 0.75, "c": 0.75}
    assert result.wins["a"] == {"b": 0.25, "c": 1.0}
    assert result.raters == {"ann": 4, "bea": 4}
    assert result.agreement.to_dict() == {"items": 4, "kendall_w": 1.0, "kendall_tau": 1.0}


def test_the_command_prints_them(study: Path) -> None:
    run = CliRunner().invoke
    table = run(main, ["rank", "--results", str(study)])
    assert table.exit_code == 0, table.output
    assert "b                  0.750    [0.250, 1.000]       1.50" in table.output
    assert "8 answers on 4 items (ann 4, bea 4)" in table.output
    assert "Kendall's W 1.000, mean tau 1.000, on 4 items" in table.output
    printed = run(main, ["rank", "--results", str(study), "--json"]).output
    assert json.loads(printed) == rank_results(study).to_dict()
    for words, sentence in (
        (["rank", "--results", str(study / "answers")], "has no config.json"),
        (["rank", "x", "--results", str(study)], "leave 'x' out"),
        (["rank", "x"], "1 evaluations cannot be ranked"),
    ):
        refused = run(main, words)
        assert refused.exit_code == 2
        assert sentence in refused.output


def test_a_draw_of_the_prompts_is_the_same_for_all_raters(make_runs: MakeRuns) -> None:
    runs, study = make_runs("base", "tuned"), Path("study")
    ann, bea = (RankSession(runs, study, rater, 2, 3) for rater in ("ann", "bea"))
    asked = {item.name for item in ann.items}
    assert len({item.prompt for item in ann.items}) == 3
    assert len(asked) == len(ann.items) == 6
    assert asked == {item.name for item in bea.items}
    assert asked < {item.name for item in RankSession(runs, Path("all"), "ann", 2).items}
    with pytest.raises(ValueError, match="--num-prompts 3, this command says None"):
        RankSession(runs, study, "ann", 2)
    with pytest.raises(ValueError, match="--num-prompts 99 are more than the runs' 6; give fewer"):
        RankSession(runs, Path("more"), "ann", 2, 99)


def test_a_study_that_was_edited_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"runs": {"a": "", "b": ""}})
    append_answer(tmp_path / "answers/ann.jsonl", {"item": "0", "prompt": "p", "order": ["a"]})
    with pytest.raises(ValueError, match=r"item 0 is ordered \['a'\], which is no order of a, b"):
        rank_results(tmp_path)
    write_json(tmp_path / "config.json", {})
    with pytest.raises(ValueError, match="which is no order of"):
        rank_results(tmp_path)


def tied(*rows: str) -> list[Ranking]:
    """A word a rater: "a bc" has a first, and b and c equal after it."""
    return [
        Ranking(f"r{n}", "i", "p", tuple(tuple(place) for place in row.split()))
        for n, row in enumerate(rows)
    ]


def test_equal_runs_share_the_mean_of_their_ranks() -> None:
    [ranking] = tied("ab cd e")
    assert [ranking.rank(run) for run in "abcde"] == [1.5, 1.5, 3.5, 3.5, 5]
    assert [ranking.first(run) for run in "abcde"] == [0.5, 0.5, 0, 0, 0]
    assert (ranking.wins("a", "b"), ranking.wins("b", "c"), ranking.wins("e", "c")) == (0.5, 1, 0)


@pytest.mark.parametrize(
    ("rows", "w", "tau"),
    [
        (("ab c", "ab c"), 1, 1),
        # Ranks (1.5, 1.5, 3) and (1, 2, 3): sums 2.5, 3.5, 6, S = 2.25 + 0.25 + 4 = 6.5, T = 6;
        # W = 78 / (96 - 12); of three pairs two agree and one is tied: 2 / sqrt(2 * 3).
        (("ab c", "a b c"), 78 / 84, 2 / 6**0.5),
        # The same order seen as ties at either end: sums 2.5, 4, 5.5, S = 4.5, T = 12;
        # W = 54 / (96 - 24); one pair of two and two untied agrees: 1 / 2.
        (("ab c", "a bc"), 54 / 72, 1 / 2),
        # One rater sees no difference: sums 2.5, 3.5, S = 0.5, T = 6; W = 6 / (24 - 12), no tau.
        (("ab", "a b"), 0.5, None),
        (("abc", "abc"), None, None),
    ],
)
def test_agreement_with_ties_by_hand(
    rows: tuple[str, ...], w: float | None, tau: float | None
) -> None:
    found = agreement_of(tied(*rows))
    assert found.kendall_w == (w if w is None else pytest.approx(w))
    assert found.kendall_tau == (tau if tau is None else pytest.approx(tau))


def test_w_with_ties_is_the_mean_spearman_correlation_too() -> None:
    """(M W - 1) / (M - 1), where raters have as many ties as each other; Spearman's of mid-ranks
    is Pearson's."""
    import numpy as np

    group = tied("ab c de", "c ab ed", "de ac b")
    ranks = np.array([[r.rank(run) for run in "abcde"] for r in group])
    pairs = np.corrcoef(ranks)[np.triu_indices(3, 1)]
    assert (3 * (agreement_of(group).kendall_w or 0) - 1) / 2 == pytest.approx(pairs.mean())


def test_a_tie_is_answered_kept_and_evaluated(make_runs: MakeRuns) -> None:
    runs = make_runs("base", "tuned", "other")
    session = RankSession(runs, Path("study"), "ann", 1)
    session.answer(0, [[2, 0], 1])
    [line] = Path("study/answers/ann.jsonl").read_text(encoding="utf-8").splitlines()
    row = json.loads(line)
    shown = row["shown"]
    assert row["order"] == [[shown[2], shown[0]], shown[1]]
    again = RankSession(runs, Path("study"), "ann", 1).describe()["tasks"][0]
    assert again["answer"] == [[2, 0], 1]
    for wrong in ([[0, 1]], [[0, 1], [2]], [[0, 1], 1], [[], 0, 1, 2], [True, 0, 2], [[0, 1], 2.0]):
        with pytest.raises(ValueError, match="choose every image once"):
            session.answer(0, wrong)
    result = rank_results(Path("study"))
    assert result.ties == 1
    assert result.runs[shown[2]].rank_1.value == 0.5
    assert result.runs[shown[2]].mean_rank.value == 1.5
    assert result.wins[shown[2]] == {shown[0]: 0.5, shown[1]: 1.0}
    assert result.runs[shown[2]].rank_1.interval is None
    said = CliRunner().invoke(main, ["rank", "--results", "study"]).output
    assert "1 of them have ties: a shared place counts as its mean rank" in said
    assert "No interval where it says none: one prompt" in said

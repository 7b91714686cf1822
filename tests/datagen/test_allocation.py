"""`--allocate`: who gets more candidates; shards are made, stopped and judged as others are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from stopped_sampling import stop_at

from sipo.backbones.base import Backbone
from sipo.datagen.api import verdicts
from sipo.datagen.cli import main
from sipo.datagen.export import dataset_card
from sipo.datagen.generation import overlap, run
from sipo.datagen.generation.allocation import shared_out, variance
from sipo.datagen.generation.build import Job
from sipo.datagen.generation.candidates import candidate_sample, kept_files, write_candidates
from sipo.datagen.generation.rejudging import judge_folder, pair_folder
from sipo.datagen.generation.run import generate
from sipo.datagen.generation.types import Batch, Judged, Request
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_summary import Allocated, summarize, summary_lines
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.unpaired_dataset import UnpairedDataset
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict, failed_verdict

QUARTER, EIGHTH = Fraction(1, 4), Fraction(1, 8)
CAT, DOGS, CAR, SIDES, BUS = (
    grammar.single_object("cat"),
    grammar.counting("dog", 2),
    grammar.colors("car", "red"),
    grammar.position("cat", "left of", "dog"),
    grammar.two_object("bus", "boat"),
)


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (6, [QUARTER, QUARTER], [3, 3]),
        (6, [QUARTER, EIGHTH, Fraction()], [4, 2, 0]),
        (7, [QUARTER, QUARTER], [4, 3]),  # of equal remainders the first
        (5, [Fraction(3), Fraction(3), Fraction(1)], [2, 2, 1]),  # 15/7, 15/7, 5/7
        (9, [Fraction(), Fraction()], [0, 0]),
        (0, [QUARTER], [0]),
    ],
)
def test_shares_are_in_proportion_by_largest_remainders(
    total: int, weights: list[Fraction], shares: list[int]
) -> None:
    assert shared_out(total, weights) == shares


def test_the_variance_of_verdicts_knows_nothing_of_those_that_failed() -> None:
    assert variance([True, False, False, False]) == Fraction(3, 16)
    assert variance([True, True, None]) == variance([False]) == variance([None]) == 0


class Decided(FakeJudge):
    """A cat is always right, two dogs are never; of the others every second image is."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def describe(self) -> dict[str, object]:
        return {"id": "decided"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return [self._decided(prompt) for prompt in prompts]

    def _decided(self, prompt: Prompt) -> Verdict:
        at = self.asked[prompt.text]
        self.asked[prompt.text] += 1
        right = prompt == CAT or (prompt != DOGS and at % 2 == 0)
        return Verdict(score=float(right), correct=right, judge=self.describe())


@pytest.fixture(scope="session")
def asked(settings: GenerateSettings) -> GenerateSettings:
    """Shards of (cat, dogs), (car, sides), (bus); three candidates first, three to share out."""
    return settings.model_copy(update={"candidates": 6, "allocate": True})


def made(
    asked: GenerateSettings, out: Path, backbone: Backbone, judge: FakeJudge | None = None
) -> Path:
    given = asked.model_copy(update={"out": out})
    generate(given, backbone=backbone, judge=judge or Decided(), progress=False)
    return out


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def sizes(folder: Path) -> list[int]:
    """Candidates of the cat, the dogs, the car, the sides, the bus."""
    counted = Counter(str(row["text"]) for row in verdicts(folder))
    return [counted[prompt.text] for prompt in (CAT, DOGS, CAR, SIDES, BUS)]


@pytest.fixture
def allocated(asked: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path) -> Path:
    return made(asked, tmp_path / "allocated", tiny_backbone)


def test_mixed_prompts_get_what_others_have_left(
    asked: GenerateSettings, tiny_backbone: Backbone, allocated: Path, tmp_path: Path
) -> None:
    assert sizes(allocated) == [3, 3, 6, 6, 6]
    whole = asked.model_copy(update={"prompts_per_shard": 5})
    assert sizes(made(whole, tmp_path / "whole", tiny_backbone)) == [3, 3, 8, 8, 8]


def test_a_candidate_is_the_one_that_it_would_be_without(
    asked: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    whole = asked.model_copy(update={"prompts_per_shard": 5})
    plain = whole.model_copy(update={"allocate": False, "candidates": 8})
    folders = [made(one, tmp_path / str(i), tiny_backbone) for i, one in enumerate((whole, plain))]
    more, all_ = (
        {(row["text"], row["candidate"]): row["seed"] for row in verdicts(folder)}
        for folder in folders
    )
    assert len(more) == 30
    assert more.items() <= all_.items()


def test_candidates_of_a_prompt_follow_each_other(allocated: Path) -> None:
    rows = verdicts(allocated)
    assert [row["candidate"] for row in rows[6:]] == [*range(6)] * 3
    keys = [str(row["key"]) for row in rows]
    assert keys == sorted(set(keys))


def test_the_summary_counts_them(allocated: Path) -> None:
    summary = summarize(open_folder(allocated))
    assert summary.allocated == Allocated(
        always_right=1, never_right=1, mixed=3, extra_candidates=9, not_sampled=6
    )
    line = next(line for line in summary_lines(summary) if line.startswith("allocated"))
    assert line == (
        "allocated: 9 extra candidates to 3 prompts with right and wrong ones; 1 always right, "
        "1 never; 6 not sampled, for want of such prompts in a shard"
    )
    assert json.loads((allocated / "summary.json").read_text())["allocated"]["mixed"] == 3
    assert "Allocated: 9 extra candidates to 3 prompts" in dataset_card(open_folder(allocated), 9)


def test_without_it_nothing_is_said(shards: Path) -> None:
    assert b"allocate" not in b"".join(bytes_of(shards).values())
    assert summarize(open_folder(shards)).allocated is None


def test_it_trains_and_holds(allocated: Path) -> None:
    assert not list(find_damage(allocated))
    assert len(PairDataset(allocated)) == 9  # three of each mixed prompt
    assert len(UnpairedDataset(allocated).desirable) == 3 + 3 * 3


def test_the_bytes_are_those_of_one_after_the_other(
    asked: GenerateSettings,
    tiny_backbone: Backbone,
    allocated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def one_by_one(
        job: Job, asked: Iterator[Batch[Request]], write: overlap.Write, seen: overlap.Seen
    ) -> None:
        write(overlap._noted(map(job.make, asked), seen))

    monkeypatch.setattr(run, "overlapped", one_by_one)
    in_turn = made(asked, tmp_path / "in-turn", tiny_backbone)
    assert bytes_of(in_turn) == bytes_of(allocated)


def test_several_workers_share_out_alike(
    asked: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    """By a judge that depends on what it sees: each worker has one of its own."""
    two = asked.model_copy(update={"workers": 2, "batch_size": 1})
    first, second = (
        made(two, tmp_path / name, tiny_backbone, FakeJudge()) for name in ("first", "second")
    )
    assert bytes_of(first) == bytes_of(second)
    summary = summarize(open_folder(first)).allocated
    assert summary is not None
    assert summary.extra_candidates > 0


class Broken(FakeJudge):
    """Has a mistake that shows in a later batch."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        self.at -= 1
        if self.at == 0:
            raise TypeError("a mistake of the judge")
        return super().judge(images, prompts)


@pytest.mark.parametrize(
    "at", [1, 6, *(pytest.param(at, marks=pytest.mark.slow) for at in (2, 3, 4, 5, 7, 8))]
)
def test_where_judging_ends_the_run_ends_and_goes_on_with_the_same_bytes(
    at: int, asked: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    """Also while sampling waits for a verdict."""
    whole = made(asked, tmp_path / "whole", tiny_backbone, FakeJudge())
    out = tmp_path / "broken"
    with pytest.raises(TypeError, match="a mistake of the judge"):
        made(asked, out, tiny_backbone, Broken(at))
    assert bytes_of(made(asked, out, tiny_backbone, FakeJudge())) == bytes_of(whole)


@pytest.mark.parametrize(
    "at", [4, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 2, 3, 5, 6, 7, 8))]
)
def test_stopped_while_any_batch_is_sampled_it_goes_on_with_the_same_bytes(
    at: int,
    asked: GenerateSettings,
    tiny_backbone: Backbone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = made(asked, tmp_path / "whole", tiny_backbone, FakeJudge())
    out = tmp_path / "stopped"
    stop_at(tiny_backbone, at, lambda: made(asked, out, tiny_backbone, FakeJudge()), monkeypatch)
    assert bytes_of(made(asked, out, tiny_backbone, FakeJudge())) == bytes_of(whole)


class Harsh(Decided):
    def describe(self) -> dict[str, object]:
        return {"id": "harsh"}

    def _decided(self, prompt: Prompt) -> Verdict:
        return (
            failed_verdict("it is dark", self.describe())
            if prompt == CAT
            else super()._decided(prompt)
        )


def test_it_is_judged_and_paired_again(allocated: Path, tmp_path: Path) -> None:
    before = bytes_of(allocated)
    judge_folder(allocated, "x", judge=Harsh(), progress=False, out=tmp_path / "harsh")
    assert sizes(tmp_path / "harsh") == [3, 3, 6, 6, 6]
    assert not list(find_damage(tmp_path / "harsh"))
    judge_folder(allocated, "x", judge=Harsh(), progress=False)
    assert not list(find_damage(allocated))
    summary = summarize(open_folder(allocated)).allocated
    assert summary is not None
    assert (summary.always_right, summary.extra_candidates) == (0, 9)
    judge_folder(allocated, "x", judge=Decided(), progress=False)
    pair_folder(allocated, margin=1.0)
    assert not list(find_damage(allocated))
    pair_folder(allocated, margin=0.2)
    assert bytes_of(allocated) == before


def test_a_candidate_that_is_missing_is_named(allocated: Path, tmp_path: Path) -> None:
    """Judging again knows from the tar alone how many a prompt has."""
    folder = open_folder(allocated)
    kept = [
        candidate_sample(Judged(request, Verdict(score=1.0, correct=True)), files)
        for request, files in kept_files(folder, 1)
    ]
    del kept[2]
    write_candidates(folder, 1, kept)
    with pytest.raises(ValueError, match="lacks cand-00000026"):
        judge_folder(allocated, "x", judge=Harsh(), progress=False, out=tmp_path / "harsh")


def test_another_judge_may_not_share_out_the_rest(
    asked: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    """Of a folder that was judged again before it was whole."""
    out = tmp_path / "broken"
    with pytest.raises(TypeError):
        made(asked, out, tiny_backbone, Broken(9))
    with pytest.raises(ValueError, match="is missing"):
        judge_folder(out, "x", judge=Decided(), progress=False)
    with pytest.raises(ValueError, match="--judge, which --allocate goes by"):
        made(asked, out, tiny_backbone, Decided())


def test_it_is_part_of_what_a_folder_is(
    asked: GenerateSettings, tiny_backbone: Backbone, allocated: Path, shards: Path
) -> None:
    plain = asked.model_copy(update={"allocate": False})
    with pytest.raises(ValueError, match="was started with --allocate True"):
        made(plain, allocated, tiny_backbone)
    few = asked.model_copy(update={"candidates": 4})
    with pytest.raises(ValueError, match="was started with --allocate None"):
        made(few, shards, tiny_backbone, FakeJudge())


class Majority(Decided):
    def describe(self) -> dict[str, object]:
        return {"id": "ensemble", "rule": "majority", "members": []}


def test_what_cannot_be_shared_out_is_refused(
    asked: GenerateSettings, tiny_backbone: Backbone, allocated: Path, tmp_path: Path
) -> None:
    two = asked.model_copy(update={"candidates": 2})
    with pytest.raises(ValueError, match="--candidates is 2; give at least 3"):
        made(two, tmp_path / "two", tiny_backbone)
    with pytest.raises(ValueError, match="'majority' compares"):
        made(asked, tmp_path / "majority", tiny_backbone, Majority())
    with pytest.raises(ValueError, match="'majority' compares"):
        judge_folder(allocated, "x", judge=Majority(), progress=False, out=tmp_path / "judged")


def test_a_dry_run_says_it(prompts_file: Path, tmp_path: Path) -> None:
    words = ["generate", "--prompts", prompts_file, "--judge", "fake", "--candidates", "6"]
    words += ["--allocate", "--steps", "1", "--batch-size", "2", "--workers", "1", "--dry-run"]
    done = CliRunner().invoke(main, [*map(str, words), "--out", str(tmp_path / "out")])
    assert "5 prompts x 6 = 30 candidates" in done.output
    assert "3 of each prompt first; of a shard's other 3 a prompt more for prompts" in done.output

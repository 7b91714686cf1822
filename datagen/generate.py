"""The stages over a whole folder: generate, judge again, pair again. All three continue themselves.

A shard that is done and still holds is left alone; any other is made again, with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from sipo.backbones.base import Backbone
from sipo.backbones.workers import spread
from sipo.common.files import write_json
from sipo.datagen.folder import (
    CANDIDATES,
    PAIRS,
    ForeignShardError,
    ShardFolder,
    claim_folder,
    only_writer,
    open_folder,
    require_latents,
)
from sipo.datagen.job import Job, prepare
from sipo.datagen.records import Candidate
from sipo.datagen.settings import Settings, check_policy, prompts_bytes
from sipo.datagen.sources import remember
from sipo.datagen.stages import (
    Track,
    batches_of,
    embed_prompts,
    has_embeddings,
    judge_again,
    pair_candidates,
    write_sampled,
)
from sipo.datagen.summary import summarize
from sipo.feedback.ensemble import require_company
from sipo.feedback.frames import FrameJudge
from sipo.feedback.judge import Judge, load_judge, vocabulary_of
from sipo.feedback.prompt import Prompt

State = Literal["done", "judge", "sample"]
"""What is left to do for the candidates of a shard."""


def generate(
    settings: Settings,
    prompts: Sequence[Prompt] | None = None,
    backbone: Backbone | None = None,
    judge: Judge | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Sample, judge, pair and shard into `settings.out`; returns what `summary.json` says.

    `prompts`, `backbone` and `judge` stand in for those the settings name.
    """
    return run(prepare(settings, prompts, backbone, judge), settings.out, progress)


def run(job: Job, out: Path, progress: bool = True) -> dict[str, Any]:
    with only_writer(out):
        folder = claim_folder(out, job.config, prompts_bytes(job.prompts))
        remember(out, job.backbone.name, job.weights)
        states = {n: state_of(folder, n) for n in range(folder.shards)}
        todo = [number for number, state in states.items() if state != "done"]
        unmade = (number for number, state in states.items() if state == "sample")
        with spread(job.make, job.workers) as mapped, _bar(folder, todo, progress) as track:
            made = mapped(batch for number in unmade for batch in batches_of(folder, number))
            for number, state in states.items():
                if state == "sample":
                    write_sampled(folder, number, made, track)
                elif state == "judge":
                    judge_again(folder, number, job.judge, track)
                if not has_embeddings(folder, number):
                    embed_prompts(folder, number, job.backbone)
                _pair_if_stale(folder, number)
        return finish(folder)


def judge_folder(
    path: str | Path,
    name: str,
    weights: Path | None = None,
    judge: Judge | None = None,
    progress: bool = True,
    frames: dict[str, Any] | None = None,
    settings: Path | None = None,
) -> dict[str, Any]:
    """Judge the kept candidates again and pair them by the folder's policy. Samples nothing.

    `frames` says what FrameJudge does with clips (`count`, `score`), where not as before.
    """
    folder = open_folder(path)
    if judge is None:
        judge = load_judge(name, weights, vocabulary_of(folder.prompts), settings)
    if folder.encoded:
        require_company(judge, folder.config["batch_size"], folder.config["candidates"])
    judge = _of_clips(judge, folder, frames or {})
    with only_writer(folder.path):
        versions = folder.config["versions"] | {"ultralytics": version("ultralytics")}
        new = folder.config | {"judge": judge.describe(), "versions": versions}
        folder = ShardFolder(folder.path, new)
        for number in range(folder.shards):
            _require_embeddings(folder, number)
        folder.write_config()
        todo = [n for n in range(folder.shards) if state_of(folder, n) != "done"]
        with _bar(folder, todo, progress) as track:
            for number in range(folder.shards):
                if number in todo:
                    judge_again(folder, number, judge, track)
                _pair_if_stale(folder, number)
        return finish(folder)


def _of_clips(judge: Judge, folder: ShardFolder, asked: dict[str, Any]) -> Judge:
    if folder.suffix == "png":
        if asked:
            name, value = next(iter(asked.items()))
            flag = {"count": "--judged-frames", "score": "--frame-score"}[name]
            raise ValueError(f"{flag} {value} has no effect: {folder.path} holds images, no clips")
        return judge
    rule = folder.config["judge"]["frames"] | asked
    return FrameJudge(judge, rule["count"], rule["score"])


def pair_folder(
    path: str | Path,
    policy: str | None = None,
    margin: float | None = None,
    max_pairs_per_prompt: int | None = None,
) -> dict[str, Any]:
    """Pair the kept candidates again; None keeps what the folder has. Samples nothing."""
    asked = {"policy": policy, "margin": margin, "max_pairs_per_prompt": max_pairs_per_prompt}
    given = {name: value for name, value in asked.items() if value is not None}
    folder = open_folder(path)
    check_policy(given.get("policy", folder.config["policy"]))
    with only_writer(folder.path):
        folder = ShardFolder(folder.path, folder.config | given)
        for number in range(folder.shards):
            _require_embeddings(folder, number)
            if folder.index(CANDIDATES, number)["judged_by"] != folder.judged_by:
                raise ValueError(
                    f"{folder.tar(CANDIDATES, number)} has the verdicts of another judge; "
                    "run sipo-data judge on the folder first"
                )
        folder.write_config()
        for number in range(folder.shards):
            _pair_if_stale(folder, number)
        return finish(folder)


def state_of(folder: ShardFolder, number: int) -> State:
    """What the candidates of a shard lack. Raises ForeignShardError for another command's shard."""
    try:
        index = folder.index(CANDIDATES, number)
    except ForeignShardError:
        raise
    except ValueError:
        return "sample"
    return "done" if index["judged_by"] == folder.judged_by else "judge"


def pairs_hold(folder: ShardFolder, number: int) -> bool:
    """Whether the pairs were made from these candidates by this policy."""
    try:
        index = folder.index(PAIRS, number)
    except ForeignShardError:
        raise
    except ValueError:
        return False
    candidates = folder.index(CANDIDATES, number)["tar"]["sha256"]
    made_from = (index["paired_by"], index["candidates_sha256"])
    return bool(made_from == (folder.paired_by, candidates))


def _pair_if_stale(folder: ShardFolder, number: int) -> None:
    if not pairs_hold(folder, number):
        pair_candidates(folder, number)


def _require_embeddings(folder: ShardFolder, number: int) -> None:
    require_latents(folder)
    if not has_embeddings(folder, number):
        raise ValueError(
            f"{folder.embeddings(number)} is missing or damaged; "
            "run the same sipo-data generate again"
        )


def finish(folder: ShardFolder) -> dict[str, Any]:
    """Write `summary.json` and return what it says."""
    summary = summarize(folder)
    write_json(folder.path / "summary.json", summary, indent=2)
    return summary


@contextmanager
def _bar(folder: ShardFolder, todo: Sequence[int], progress: bool) -> Iterator[Track]:
    """A bar over candidates with rate, time left and the share that is correct so far."""
    per_prompt = folder.config["candidates"]
    total = len(folder.prompts) * per_prompt
    left = sum(len(folder.prompts_of(number)) * per_prompt for number in todo)
    judged = correct = 0
    with tqdm(
        total=total, initial=total - left, unit="img", desc="Candidates", disable=not progress
    ) as bar:

        def track(candidate: Candidate) -> None:
            nonlocal judged, correct
            verdict = candidate.verdict
            if verdict is not None and not verdict.failed:
                judged, correct = judged + 1, correct + verdict.correct
                bar.set_postfix(correct=f"{correct / judged:.2f}", refresh=False)
            bar.update()

        yield track

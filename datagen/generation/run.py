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
from sipo.common.cpu_workers import spread
from sipo.common.files.writing import write_json
from sipo.datagen.generation.build import Job, prepare
from sipo.datagen.generation.config import judge_early
from sipo.datagen.generation.first_verdicts import first_verdicts
from sipo.datagen.generation.pairing import check_policy
from sipo.datagen.generation.prompts import prompts_bytes
from sipo.datagen.generation.shard_stages import (
    JUDGED,
    Track,
    batches_of,
    embed_prompts,
    has_embeddings,
    judge_again,
    pair_candidates,
    verdicts_of,
    write_judged,
    write_sampled,
)
from sipo.datagen.generation.types import Candidate
from sipo.datagen.looking.folder_summary import summarize
from sipo.datagen.looking.review import carry_decisions
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.backbone_places import remember
from sipo.datagen.storage.copies import begin_copy, bring_candidates, bring_embeddings
from sipo.datagen.storage.shard_folder import (
    CANDIDATES,
    PAIRS,
    ForeignShardError,
    ShardFolder,
    claim_folder,
    only_writer,
    open_folder,
    refuse_early,
)
from sipo.feedback.ensemble import require_company
from sipo.feedback.frames import FrameJudge
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.registry import load_judge, vocabulary_of

State = Literal["done", "judge", "sample"]
"""What is left to do for the candidates of a shard."""


def generate(
    settings: GenerateSettings,
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
    out: Path | None = None,
) -> dict[str, Any]:
    """Judge the kept candidates again and pair them by the folder's policy. Samples nothing.

    Into the new folder `out`, or in place. `frames` says what FrameJudge does with clips (`count`,
    `score`), where not as before. Raises ValueError, and has changed nothing, for verdicts of
    people in place, and for a judge that can judge nothing of it.
    """
    source = open_folder(path)
    where = _other_place(source, out)
    if where == source.path and source.labelled:
        raise ValueError(
            f"{path} holds the verdicts of people, which no import would bring back; "
            "give --out NEW, a folder for the judge's"
        )
    for number in range(source.shards):
        _require_embeddings(source, number)
    if judge is None:
        check_prompts(name, source.prompts, source.path / "prompts.jsonl", settings)
        if out is not None:
            refuse_early(
                out, {"import": source.config.get("import"), "judge": judge_early(name, weights)}
            )
        judge = load_judge(name, weights, vocabulary_of(source.prompts), settings)
    require_company(judge, source.config["batch_size"] or JUDGED, source.config["candidates"])
    judge = _of_clips(judge, source, frames or {})
    versions = source.config["versions"] | {"ultralytics": version("ultralytics")}
    into = source.reopened(where, judge=judge.describe(), versions=versions)
    with only_writer(where):
        todo = [n for n in range(into.shards) if state_of(into, n) != "done"]
        with _bar(source, todo, progress) as track:
            held = first_verdicts(source, todo, judge, track)
            _begin_again(source, into)
            for number in range(into.shards):
                if number in held:
                    write_judged(source, number, held.pop(number), into)
                elif number in todo:
                    write_judged(source, number, verdicts_of(source, number, judge, track), into)
                if where != source.path:
                    bring_embeddings(source, into, number)
                _pair_if_stale(into, number)
        return finish(into)


def _other_place(source: ShardFolder, out: Path | None) -> Path:
    """Where the new verdicts or pairs go. Raises ValueError for an --out that is the source."""
    if out is None:
        return source.path
    if out.resolve() == source.path.resolve():
        raise ValueError(f"--out {str(out)!r} is SHARDS itself; give a new folder, or no --out")
    return out


def _begin_again(source: ShardFolder, into: ShardFolder) -> None:
    """Nothing is written before this. People's decisions go on to hold."""
    if into.path == source.path:
        carry_decisions(source)
        into.write_config()
    else:
        begin_copy(source, into)


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
    out: Path | None = None,
) -> dict[str, Any]:
    """Pair the kept candidates again, in place or into the new folder `out`. Samples nothing.

    None keeps what the folder has.
    """
    asked = {"policy": policy, "margin": margin, "max_pairs_per_prompt": max_pairs_per_prompt}
    given = {name: value for name, value in asked.items() if value is not None}
    source = open_folder(path)
    check_policy(given.get("policy", source.config["policy"]))
    into = source.reopened(_other_place(source, out), **given)
    for number in range(source.shards):
        _require_embeddings(source, number)
        if source.index(CANDIDATES, number)["judged_by"] != source.judged_by:
            raise ValueError(
                f"{source.tar(CANDIDATES, number)} has the verdicts of another judge; "
                "run sipo-data judge on the folder first"
            )
    with only_writer(into.path):
        _begin_again(source, into)
        for number in range(into.shards):
            if into.path != source.path:
                bring_candidates(source, into, number)
                bring_embeddings(source, into, number)
            _pair_if_stale(into, number)
        return finish(into)


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
    if folder.encoded and not has_embeddings(folder, number):
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

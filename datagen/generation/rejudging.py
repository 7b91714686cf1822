"""Candidates that are there judged or paired again, in place or into a new folder; both continue
themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from sipo.common.bars import bar
from sipo.common.files.leases import Leases
from sipo.common.files.url_leases import store_of
from sipo.common.shared_work import Shared
from sipo.datagen.generation.allocation import refuse_majority
from sipo.datagen.generation.candidates import Track, state_of, verdicts_of, write_judged
from sipo.datagen.generation.config import judge_early
from sipo.datagen.generation.pairing import check_policy
from sipo.datagen.generation.pairs import is_whole, pair_if_stale, sweep_shard
from sipo.datagen.generation.progress import candidates_bar
from sipo.datagen.storage.copies import begin_copy, bring_candidates, bring_embeddings
from sipo.datagen.storage.decisions import carry_decisions
from sipo.datagen.storage.folder_config import FramesConfig, JudgeConfig
from sipo.datagen.storage.folder_guard import one_of_the_makers, only_writer, refuse_early
from sipo.datagen.storage.folder_summary import FolderSummary, finish
from sipo.datagen.storage.shard_folder import ShardFolder, open_folder, require_embeddings
from sipo.datagen.storage.shard_index import CANDIDATES
from sipo.feedback.ensemble import require_company
from sipo.feedback.frames import judge_for
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.registry import load_judge, vocabulary_of
from sipo.feedback.rule.verdict import Verdict
from sipo.feedback.settings import FRAMES, FrameScore


def judge_folder(
    path: str | Path,
    name: str,
    weights: Path | None = None,
    judge: Judge | None = None,
    progress: bool = True,
    judged_frames: int | None = None,
    frame_score: FrameScore | None = None,
    settings: Path | None = None,
    out: Path | None = None,
) -> FolderSummary:
    """Judge the kept candidates again and pair them by the folder's policy. Samples nothing.

    Into the new folder `out`, or in place. `judged_frames` and `frame_score` say what judge_for
    does with clips, where not as before. Raises ValueError, and has changed nothing, for verdicts
    of people in place, and for a judge that can judge nothing of it.
    """
    source = open_folder(path)
    config, where = source.config, _place(source, out)
    if where == source.path and config.judged_by_people:
        raise ValueError(
            f"{path} holds the verdicts of people, which no import would bring back; "
            "give --out NEW, a folder for the judge's"
        )
    _require_embeddings(source)
    if judge is None:
        check_prompts(name, source.prompts, source.path / "prompts.jsonl", settings)
        if out is not None:
            of_import = {"import": config.import_.as_read()} if config.import_ else {}
            refuse_early(out, {**of_import, "judge": judge_early(name, weights)})
        judge = load_judge(name, weights, vocabulary_of(source.prompts), settings)
    if config.allocate:
        refuse_majority(judge)
    require_company(judge, config.at_a_time, config.candidates)
    judge = _of_clips(judge, source, judged_frames, frame_score)
    versions = config.versions | {"ultralytics": version("ultralytics")}
    opinion = {"judge": judge.describe(), "versions": versions}
    into = ShardFolder(where, config.with_opinion(opinion))
    with one_of_the_makers(where):
        leases = Leases(store_of(where))
        with leases.beating():
            leases.wait_for("folder", every_s=0.05)
            source = open_folder(path)  # another process may have begun
            todo = [number for number in into.numbers if state_of(into, number) != "done"]
            with candidates_bar(source, todo, progress) as track:
                held = _first_verdicts(source, todo, judge, track)
                _begin_again(source, into)
                for number, verdicts in held.items():
                    write_judged(source, number, verdicts, into)
                leases.release("folder")
                _judge_shared(source, into, judge, leases, track)
        return finish(into)


def _judge_shared(
    source: ShardFolder, into: ShardFolder, judge: Judge, leases: Leases, track: Track
) -> None:
    work = Shared(
        into.numbers, partial(is_whole, into), leases, "shard", partial(sweep_shard, into)
    )

    def make() -> None:
        for number in work.claimed():
            if state_of(into, number) != "done":
                verdicts = verdicts_of(source, number, judge, track, source.config.at_a_time)
                write_judged(source, number, verdicts, into)
            if into.path != source.path:
                bring_embeddings(source, into, number)
            pair_if_stale(into, number)
            work.made(number)

    work.until_done(make)


def _first_verdicts(
    folder: ShardFolder, todo: Sequence[int], judge: Judge, track: Track
) -> dict[int, list[Verdict]]:
    """By shard, up to the first that has a verdict which did not fail; the rest is judged later.

    {} where a shard has this judge's verdicts already. Raises ValueError where all verdicts fail.
    """
    held: dict[int, list[Verdict]] = {}
    if len(todo) < folder.config.shards:
        return held
    for number in todo:
        held[number] = list(verdicts_of(folder, number, judge, track, folder.config.at_a_time))
        if not all(verdict.failed for verdict in held[number]):
            return held
    failures = Counter(verdict.failure for some in held.values() for verdict in some)
    causes = ", ".join(f"{count} {cause}" for cause, count in failures.most_common(3))
    name = JudgeConfig.model_validate(judge.describe()).names
    raise ValueError(
        f"--judge {name} can judge none of the candidates of {folder.path} ({causes}); "
        "nothing was changed; give another judge"
    )


def pair_folder(
    path: str | Path,
    policy: str | None = None,
    margin: float | None = None,
    max_pairs_per_prompt: int | None = None,
    out: Path | None = None,
    progress: bool = True,
) -> FolderSummary:
    """Pair the kept candidates again, in place or into the new folder `out`. Samples nothing.

    None keeps what the folder has.
    """
    asked = {"policy": policy, "margin": margin, "max_pairs_per_prompt": max_pairs_per_prompt}
    given = {name: value for name, value in asked.items() if value is not None}
    source = open_folder(path)
    check_policy(policy or source.config.policy)
    into = ShardFolder(_place(source, out), source.config.with_opinion(given))
    _require_embeddings(source)
    for number in source.numbers:
        if source.candidates(number).judged_by != source.config.judge_digest:
            raise ValueError(
                f"{source.tar(CANDIDATES, number)} has the verdicts of another judge; "
                "run sipo-data judge on the folder first"
            )
    with only_writer(into.path):
        _begin_again(source, into)
        with bar(len(into.numbers), "Pairing", "shards", shown=progress) as shown:
            for number in into.numbers:
                if into.path != source.path:
                    bring_candidates(source, into, number)
                    bring_embeddings(source, into, number)
                pair_if_stale(into, number)
                shown.update()
        return finish(into)


def _place(source: ShardFolder, out: Path | None) -> Path:
    """Where the new verdicts or pairs go. Raises ValueError for an --out that is the source."""
    if out is None:
        return source.path
    if out.resolve() == source.path.resolve():
        raise ValueError(f"--out {str(out)!r} is SHARDS itself; give a new folder, or no --out")
    return out


def _require_embeddings(folder: ShardFolder) -> None:
    for number in folder.numbers if folder.config.encoded else ():
        require_embeddings(folder, number)


def _begin_again(source: ShardFolder, into: ShardFolder) -> None:
    """Nothing is written before this. People's decisions go on to hold."""
    if into.path == source.path:
        carry_decisions(source)
        into.config.write(into.path)
    else:
        begin_copy(source, into)


def _of_clips(
    judge: Judge, folder: ShardFolder, frames: int | None, score: FrameScore | None
) -> Judge:
    if folder.config.suffix == "png":
        for option, value in (("--judged-frames", frames), ("--frame-score", score)):
            if value is not None:
                raise ValueError(
                    f"{option} {value} has no effect: {folder.path} holds images, no clips"
                )
        return judge_for(judge, clips=False)
    rule = folder.config.judge.frames or FramesConfig(count=FRAMES, score="mean")
    return judge_for(judge, True, frames or rule.count, score or rule.score)

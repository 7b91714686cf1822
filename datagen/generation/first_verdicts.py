"""Whether a judge can judge anything of a folder: known before the first byte is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sipo.datagen.generation.candidates import Track, verdicts_of
from sipo.datagen.storage.folder_config import JudgeConfig
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.judge import Judge
from sipo.feedback.rule.verdict import Verdict


def first_verdicts(
    folder: ShardFolder, todo: Sequence[int], judge: Judge, track: Track
) -> dict[int, list[Verdict]]:
    """By shard, up to the first that has a verdict which did not fail; the rest is judged later.

    {} where a shard has this judge's verdicts already. Raises ValueError where all verdicts fail.
    """
    held: dict[int, list[Verdict]] = {}
    if len(todo) < folder.config.shards:
        return held
    for number in todo:
        held[number] = list(verdicts_of(folder, number, judge, track))
        if not all(verdict.failed for verdict in held[number]):
            return held
    failures = Counter(verdict.failure for some in held.values() for verdict in some)
    causes = ", ".join(f"{count} {cause}" for cause, count in failures.most_common(3))
    name = JudgeConfig.model_validate(judge.describe()).names
    raise ValueError(
        f"--judge {name} can judge none of the candidates of {folder.path} ({causes}); "
        "nothing was changed; give another judge"
    )

"""Rows of any format -> a shard folder like one that `sipo-data generate` made.

Every pair is a prompt of two candidates, the winner and the loser, judged by whoever made the
source; candidates that nobody has judged wait for `sipo-data judge`. A shard's index says how many
rows of the source it took: a run that was stopped goes on behind the last shard that is done, and
writes the bytes it would have written.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path

from sipo.common.bars import Bar, bar
from sipo.common.files.places import require_place
from sipo.common.files.writing import atomic
from sipo.common.ordered_threads import in_order, threads_for
from sipo.common.pictures.picture import Suffix
from sipo.common.pictures.quiet import quiet_pillow
from sipo.datagen.generation.candidates import candidate_sample, state_of, write_candidates
from sipo.datagen.generation.pairs import pair_candidates, pairs_hold
from sipo.datagen.generation.prompts import prompts_bytes
from sipo.datagen.generation.types import Judged, requests
from sipo.datagen.imports.registry import load_format
from sipo.datagen.imports.rows import Dropped, Found, PairRow, Rows
from sipo.datagen.imports.settings import UNJUDGED, ImportSettings, check_import, config_of
from sipo.datagen.imports.unjudged import most
from sipo.datagen.imports.untrusted_clips import read_clip_of
from sipo.datagen.imports.untrusted_images import to_keep
from sipo.datagen.imports.values import UnusableError
from sipo.datagen.storage.folder_guard import claim_import, only_writer
from sipo.datagen.storage.folder_summary import FolderSummary, finish
from sipo.datagen.storage.shard_folder import PROMPTS, ShardFolder
from sipo.datagen.storage.shard_index import SourceRows
from sipo.datagen.storage.shard_tar import TarSample
from sipo.feedback.prompts.prompt import parse_prompt, plain_text
from sipo.feedback.rule.complaint import in_words
from sipo.feedback.rule.verdict import Verdict, failed_verdict

DROPPED = "dropped.jsonl"
AHEAD, AHEAD_BYTES = 64, 2**26
"""Rows that are looked at before they are written, and how large they may be together."""


@dataclass(frozen=True)
class Checked:
    """A row whose pictures were looked at, in place of them the files as they are kept."""

    row: Found
    files: tuple[tuple[Suffix, bytes], ...]


Outcome = Checked | Dropped


def import_pairs(settings: ImportSettings, progress: bool = True) -> FolderSummary:
    """Import into `settings.out`, or go on there.

    Raises ValueError for a source that is of another format or gives no pair at all.
    """
    check_import(settings)
    require_place(settings.out)
    format_ = load_format(settings.format)
    files = format_.files(settings)
    with only_writer(settings.out):
        settings = _counted(settings, files)
        folder = claim_import(settings.out, config_of(settings, files))
        if _is_left(folder):
            with bar(None, "Importing", "pairs", shown=progress) as shown, quiet_pillow():
                folder = _write(folder, settings, format_.rows(settings, files), shown)
        return finish(folder)


def _counted(settings: ImportSettings, files: list[Path]) -> ImportSettings:
    """With the number of candidates, where it has candidates and nobody said how many."""
    if settings.format != UNJUDGED or settings.candidates:
        return settings
    return settings.model_copy(update={"candidates": max(2, most(settings, files))})


def _is_left(folder: ShardFolder) -> bool:
    if folder.config.prompts.count is None:
        return True
    return not folder.config.encoded and not all(_done(folder, n) for n in folder.numbers)


def _done(folder: ShardFolder, number: int) -> bool:
    return state_of(folder, number) == "done" and pairs_hold(folder, number)


def _write(folder: ShardFolder, settings: ImportSettings, rows: Rows, shown: Bar) -> ShardFolder:
    done = next(number for number in count() if not _done(folder, number))
    taken = [_source_rows(folder, number) for number in range(done)]
    read, kept = sum(part.rows for part in taken), sum(len(part.texts) for part in taken)
    shown.update(kept)
    left = None if settings.limit is None else settings.limit - kept
    with closing(_checked(islice(rows, read, None), settings)) as checked:
        groups = _groups(_limited(checked, left), settings.pairs_per_shard)
        for number, group in enumerate(groups, done):
            pairs = [outcome for outcome in group if isinstance(outcome, Checked)]
            took = _taken(group)
            if not pairs:
                _refuse_empty(settings, took.dropped)
            if not number:
                folder.config.write(folder.path)  # not before there is something to go on with
            _write_shard(folder, number, pairs, took)
            taken.append(took)
            shown.update(len(pairs))
    if not taken:
        _refuse_empty(settings, [])
    return _complete(folder, taken)


def _write_shard(folder: ShardFolder, number: int, pairs: list[Checked], took: SourceRows) -> None:
    samples = _samples(folder, number, pairs)
    write_candidates(folder, number, samples, {"import": took.as_read()})
    pair_candidates(folder, number)


def _source_rows(folder: ShardFolder, number: int) -> SourceRows:
    """Raises ValueError for an index that does not say what an import took."""
    if (took := folder.candidates(number).import_) is None:
        raise ValueError(f"{folder.path}: shard {number} took no rows; import into another --out")
    return took


def _limited(outcomes: Iterable[Outcome], left: int | None) -> Iterator[Outcome]:
    """Up to the pair that is the last asked for."""
    kept = 0
    for outcome in outcomes if left is None or left > 0 else ():
        yield outcome
        kept += isinstance(outcome, Checked)
        if kept == left:
            return


def _groups(outcomes: Iterable[Outcome], size: int) -> Iterator[list[Outcome]]:
    """`size` pairs each, with what was dropped up to the next."""
    group: list[Outcome] = []
    kept = 0
    for outcome in outcomes:
        if kept == size and isinstance(outcome, Checked):
            yield group
            group, kept = [], 0
        group.append(outcome)
        kept += isinstance(outcome, Checked)
    if group:
        yield group


def _checked(rows: Rows, settings: ImportSettings) -> Generator[Outcome, None, None]:
    """`_check` of all rows in their order, by threads that are ahead of the writing."""
    check = partial(_check, settings=settings)
    return in_order(check, rows, threads_for(settings.workers), AHEAD, _size, AHEAD_BYTES)


def _size(row: Found | Dropped) -> int:
    return 0 if isinstance(row, Dropped) else sum(map(len, row.pictures))


def _check(row: Found | Dropped, settings: ImportSettings) -> Outcome:
    if isinstance(row, Dropped):
        return row
    try:
        if len(set(row.pictures)) < len(row.pictures):
            pair = isinstance(row, PairRow)
            raise UnusableError(f"{'winner and loser' if pair else 'pictures'} are the same file")
        files = tuple(_picture(data, settings) for data in row.pictures)
        return Checked(row.without_pictures(), files)
    except UnusableError as error:
        return Dropped(row.key, str(error), error.about)


def _picture(data: bytes, settings: ImportSettings) -> tuple[Suffix, bytes]:
    if settings.frames is None or settings.fps is None:
        return to_keep(data, settings.size)
    return "mp4", read_clip_of(data, settings.size, settings.frames, settings.fps).mp4


def _samples(folder: ShardFolder, number: int, pairs: list[Checked]) -> Iterator[TarSample]:
    config = folder.config
    first = number * config.prompts_per_shard
    judge = config.judge.as_read()
    for place, checked in enumerate(pairs, first):
        row = checked.row
        prompt = plain_text(row.prompt) if isinstance(row, PairRow) else row.prompt
        asked = requests([(place, prompt)], config.candidates, config.seed)
        for request, (suffix, data) in zip(asked, checked.files, strict=True):
            verdict = _verdict(row, request.index == 0, judge)
            yield candidate_sample(Judged(request, verdict), {suffix: data})


def _verdict(row: Found, won: bool, judge: dict[str, object]) -> Verdict:
    """The scores lie around 1/2, the margin apart; of what nobody has judged there are none."""
    if not isinstance(row, PairRow):
        failed = failed_verdict("not judged yet; run sipo-data judge", judge)
        return failed.model_copy(update={"evidence": {"source": row.key}})
    return Verdict(
        score=0.5 + (row.margin if won else -row.margin) / 2,
        correct=won,
        complaints=() if won else in_words("not preferred"),
        judge=judge,
        evidence={"source": row.key},
    )


def _taken(group: list[Outcome]) -> SourceRows:
    return SourceRows(
        rows=len(group),
        texts=[_as_text(outcome.row) for outcome in group if isinstance(outcome, Checked)],
        dropped=[outcome.listed() for outcome in group if isinstance(outcome, Dropped)],
    )


def _as_text(row: Found) -> str:
    """A pair's prompt is its text, a candidates' its JSON."""
    return row.prompt if isinstance(row, PairRow) else row.prompt.to_line()


def _complete(folder: ShardFolder, taken: list[SourceRows]) -> ShardFolder:
    """Write what is known only when the source is read through; `config.json` last."""
    told = partial(parse_prompt, where="prompt") if folder.config.imported_unjudged else plain_text
    prompts = prompts_bytes([told(text) for part in taken for text in part.texts])
    dropped = [row for part in taken for row in part.dropped]
    with atomic(folder.path / PROMPTS) as file:
        file.write(prompts)
    _write_dropped(folder.path, dropped)
    totals = {
        "prompts": {
            "count": sum(len(part.texts) for part in taken),
            "sha256": hashlib.sha256(prompts).hexdigest(),
            "repeated": 0,
        },
        "shards": len(taken),
        "rows": sum(part.rows for part in taken),
        "dropped": dict(Counter(cause for _, cause, *_ in dropped).most_common()),
    }
    whole = ShardFolder(folder.path, folder.config.changed(totals))
    whole.config.write(whole.path)
    return whole


def _write_dropped(out: Path, dropped: Iterable[list[str]]) -> None:
    with atomic(out / DROPPED) as file:
        for row in dropped:
            named = dict(zip(("row", "cause", "path"), row, strict=False))
            file.write(json.dumps(named).encode() + b"\n")


def _refuse_empty(settings: ImportSettings, dropped: list[list[str]]) -> None:
    """The folder has no shard then, only the list of what is wrong with the rows, if any."""
    causes = Counter(cause for _, cause, *_ in dropped).most_common()
    why = ", ".join(f"{number} {cause}" for cause, number in causes) or "it has no rows"
    if dropped:
        _write_dropped(settings.out, dropped)
        why += f"; {settings.out / DROPPED} says which row for which"
    what = "candidates" if settings.format == UNJUDGED else "pair"
    raise ValueError(
        f"source {settings.source!r} gave no {what} as {settings.format}: {why}; give another "
        "source or format"
    )

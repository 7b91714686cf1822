"""The pairs of one shard, made of its candidates, and the embeddings of its prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from sipo.backbones.base import Backbone, Conditioning, Sampler
from sipo.backbones.editing import require_editor
from sipo.common.files.urls import near
from sipo.common.files.writing import sweep, to_json
from sipo.datagen.generation.candidates import judged_of
from sipo.datagen.generation.pairing import Paired, pair_stream
from sipo.datagen.generation.sampling import batches
from sipo.datagen.generation.types import Judged, Pair
from sipo.datagen.storage.latent_files import write_embeddings
from sipo.datagen.storage.sample_json import PairJson
from sipo.datagen.storage.shard_folder import ForeignShardError, ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES, PAIRS, CandidateIndex
from sipo.datagen.storage.shard_tar import TarSample, read_fields, write_shard
from sipo.feedback.prompts.before import Before

TEXTS = 16  # encoded at a time: a text encoder may be the largest model of all
_PROVENANCE = ("backbone", "sampler", "judge", "versions")


def embed_prompts(folder: ShardFolder, number: int, backbone: Backbone) -> None:
    """Write the embeddings of the shard's prompts and of the empty prompt, each once; of edits the
    latents of their pictures, too."""
    prompts = [prompt for _, prompt in folder.prompts_of(number)]
    texts = dict.fromkeys(["", *(prompt.text for prompt in prompts)])
    rows = _pictures(folder, number, backbone)
    for some in batches(texts, TEXTS):
        encoded = backbone.encode_prompts(some)
        for place, text in enumerate(some):
            rows[text] = {name: tensor[place] for name, tensor in encoded.items()}
    made_by = folder.part_of(number).config.sampling_digest
    write_embeddings(folder.embeddings(number), rows, made_by)


def _pictures(folder: ShardFolder, number: int, backbone: Backbone) -> dict[str, Conditioning]:
    """By their hashes."""
    shown = {one.before.name: one.before for _, one in folder.prompts_of(number) if one.before}
    sized = folder.config.sampler
    if not shown or sized is None:
        return {}
    editor, sampler = require_editor(backbone), Sampler(height=sized.height, width=sized.width)
    rows: dict[str, Conditioning] = {}
    for name, before in shown.items():
        encoded = editor.encode_before([before.picture()], sampler)
        rows[name] = {of: tensor[0] for of, tensor in encoded.items()}
    return rows


def complete(folder: ShardFolder, number: int, backbone: Backbone) -> None:
    """What training reads of a shard beside its candidates, where it lacks or does not hold."""
    embed_if_missing(folder, number, backbone)
    pair_if_stale(folder, number)


def embed_if_missing(folder: ShardFolder, number: int, backbone: Backbone) -> None:
    if not folder.has_embeddings(number):
        embed_prompts(folder, number, backbone)


def pairs_hold(folder: ShardFolder, number: int) -> bool:
    """Whether the pairs were made from these candidates by this policy."""
    try:
        return folder.pairs_are_of(folder.pairs(number), folder.candidates(number))
    except ForeignShardError:
        raise
    except ValueError:
        return False


def is_whole(folder: ShardFolder, number: int) -> bool:
    """Whether nothing of a shard is left to do: candidates judged, paired, prompts encoded where
    the folder has latents."""
    try:
        index = folder.candidates(number)
    except ForeignShardError:
        raise
    except ValueError:
        return False
    judged = index.judged_by == folder.config.judge_digest
    encoded = not folder.config.encoded or folder.has_embeddings(number)
    return judged and encoded and pairs_hold(folder, number)


def sweep_shard(folder: ShardFolder, number: int) -> None:
    """What a killed process had written of it."""
    sweep(folder.path, f"*-{number:06d}.*")


def pair_if_stale(folder: ShardFolder, number: int) -> None:
    if not pairs_hold(folder, number):
        pair_candidates(folder, number)


def pair_candidates(folder: ShardFolder, number: int) -> None:
    """Make a pair shard from a candidate shard: bytes are copied, nothing is decoded."""
    config, index = folder.config, folder.candidates(number)
    path, row = folder.tar(CANDIDATES, number), folder.config.as_read()
    provenance = {name: row[name] for name in _PROVENANCE}
    total = Paired()

    @cache
    def befores() -> dict[int, Before | None]:  # an import's prompts are not there yet
        return {at: prompt.before for at, prompt in folder.prompts_of(number)}

    def samples() -> Iterator[TarSample]:
        nonlocal total
        cap = config.max_pairs_per_prompt
        for paired in pair_stream(judged_of(folder, number), config.policy, config.margin, cap):
            total += paired
            for rank, pair in enumerate(paired.pairs):
                asked, row = pair.winner.request, _row(pair, provenance)
                prompt_number = asked.prompt_number
                fields = _files(folder, pair, path, index) | {"json": to_json(row)}
                if asked.prompt.before and (before := befores()[prompt_number]):
                    fields = {f"before.{before.suffix}": before.file, **fields}
                facts = {"prompt": prompt_number, **PairJson.model_validate(row).facts()}
                yield TarSample(f"pair-{prompt_number * cap + rank:08d}", fields, facts)

    def more() -> dict[str, object]:
        return {
            **folder.made(PAIRS, number),
            "paired_by": config.pairing_digest,
            "candidates_sha256": index.tar.sha256,
            "ties": total.ties,
            "under_margin": total.under_margin,
            "over_cap": total.over_cap,
            "failures": dict(total.failures),
        }

    with near(path):
        write_shard(folder.tar(PAIRS, number), samples(), more)


def _files(folder: ShardFolder, pair: Pair, path: Path, index: CandidateIndex) -> dict[str, bytes]:
    """Of an import without the pictures: the candidates have them, and once is enough."""
    config = folder.config
    names: dict[str, str] = {} if config.is_import else {config.suffix: config.suffix}
    names |= {"npy": "latents.npy"} if config.encoded else {}
    files: dict[str, bytes] = {}
    for role, judged in pair.sides.items():
        members = index.samples[judged.request.key].members
        wanted = {f"{role}.{name}": members[of_candidate] for name, of_candidate in names.items()}
        files |= read_fields(path, wanted)
    return files


def _row(pair: Pair, provenance: Mapping[str, object]) -> dict[str, object]:
    """The pair's `.json`."""
    sides = {role: _side(judged) for role, judged in pair.sides.items()}
    prompt = pair.winner.request.prompt.to_row()
    return {"prompt": prompt, "margin": pair.margin, **sides, **provenance}


def _side(judged: Judged) -> dict[str, object]:
    request = judged.request
    verdict = judged.verdict.model_dump(mode="json", exclude={"judge"})
    place = {"key": request.key, "candidate": request.index, "seed": request.seed}
    return {**place, "verdict": verdict}

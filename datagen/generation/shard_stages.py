"""What is done to one shard: sample and judge its candidates, judge them again, pair them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sipo.backbones.base import Backbone
from sipo.common.files.strict_json import load_json
from sipo.common.files.writing import atomic, to_json
from sipo.common.pictures.picture import from_bytes, to_bytes
from sipo.datagen.generation import sampling
from sipo.datagen.generation.pairing import Paired, pair_stream
from sipo.datagen.generation.types import Candidate, Judged, Pair, Request, requests, row_of
from sipo.datagen.storage.shard_folder import CANDIDATES, PAIRS, ShardFolder
from sipo.datagen.storage.shards import TarSample, read_fields, scan, write_shard
from sipo.feedback.judge import Judge
from sipo.feedback.rule.verdict import Verdict

Track = Callable[[Candidate], None]
"""Told of every candidate that is done."""

JUDGED = 16  # at a time, where nothing was sampled in batches
TEXTS = 16  # encoded at a time: a text encoder may be the largest model of all


def batches_of(folder: ShardFolder, number: int) -> Iterator[list[Request]]:
    """What a shard's candidates are asked for. Its batches end with it, so a resumed run has the
    same."""
    config = folder.config
    asked = requests(folder.prompts_of(number), config["candidates"], config["seed"])
    return sampling.batches(asked, config["batch_size"])


def write_sampled(
    folder: ShardFolder, number: int, made: Iterator[list[Candidate]], track: Track
) -> None:
    """Make a candidate shard from the next of the batches that were made."""
    batches = (next(made) for _ in batches_of(folder, number))
    _write_candidates(folder, number, chain.from_iterable(batches), track)


def judge_again(folder: ShardFolder, number: int, judge: Judge, track: Track) -> None:
    """Rewrite a candidate shard with new verdicts."""
    write_judged(folder, number, verdicts_of(folder, number, judge, track), folder)


def verdicts_of(folder: ShardFolder, number: int, judge: Judge, track: Track) -> Iterator[Verdict]:
    """Of the kept candidates of a shard, in order."""
    size = folder.config["batch_size"] or JUDGED
    for candidate in sampling.judge(read_candidates(folder, number), judge, size):
        assert candidate.verdict is not None, "a judged candidate has a verdict"
        track(candidate)
        yield candidate.verdict


def write_judged(
    folder: ShardFolder, number: int, verdicts: Iterable[Verdict], into: ShardFolder
) -> None:
    """The kept candidates of a shard with these verdicts, pictures and latents byte for byte."""

    def samples() -> Iterator[TarSample]:
        for (request, files), verdict in zip(kept_files(folder, number), verdicts, strict=True):
            yield candidate_sample(Judged(request, verdict), files)

    write_candidates(into, number, samples())


def read_candidates(folder: ShardFolder, number: int) -> Iterator[Candidate]:
    """The kept candidates. Those of an import that was not encoded have no latents: zero of them.

    Raises ValueError as `kept_files`.
    """
    for request, files in kept_files(folder, number):
        try:
            latents = from_npy(files["latents.npy"]) if folder.encoded else torch.empty(0)
            picture = from_bytes(files[folder.suffix], folder.suffix)
        except Exception as error:  # whatever the decoders raise for bytes that are damaged
            tar = folder.tar(CANDIDATES, number)
            raise ValueError(
                f"{tar}: {request.key} cannot be read ({type(error).__name__}); see sipo-data "
                "validate"
            ) from None
        yield Candidate(request, picture, latents)


def kept_files(folder: ShardFolder, number: int) -> Iterator[tuple[Request, dict[str, bytes]]]:
    """Picture and latents, by a scan of the tar: judging again may have left it without index.

    Raises ValueError when the tar is missing or holds other candidates than this folder asked for.
    """
    path = folder.tar(CANDIDATES, number)
    if not path.is_file():
        raise ValueError(f"{path} is missing; run the same sipo-data generate again")
    config = folder.config
    wanted = {folder.suffix, "json"} | ({"latents.npy"} if folder.encoded else set())
    members = scan(path)
    for request in requests(folder.prompts_of(number), config["candidates"], config["seed"]):
        if set(members.get(request.key, ())) != wanted:
            raise ValueError(f"{path} lacks {request.key}; run the same sipo-data generate again")
        files = read_fields(path, members[request.key])
        if load_json(files.pop("json"))["seed"] != request.seed:
            raise ValueError(f"{path} is foreign: {request.key} has another seed; take it out")
        yield request, files


def embed_prompts(folder: ShardFolder, number: int, backbone: Backbone) -> None:
    """Write the embeddings of the shard's prompts and of the empty prompt, each once."""
    texts = list(dict.fromkeys(["", *(prompt.text for _, prompt in folder.prompts_of(number))]))
    tensors = {}
    for first in range(0, len(texts), TEXTS):
        some = texts[first : first + TEXTS]
        for name, tensor in backbone.encode_prompts(some).items():
            for text, row in zip(some, tensor, strict=True):
                tensors[f"{text_key(text)}/{name}"] = row.cpu().contiguous()
    with atomic(folder.embeddings(number)) as file:
        file.write(save(tensors, metadata={"made_by": folder.made_by}))


def has_embeddings(folder: ShardFolder, number: int) -> bool:
    """Whether the embeddings are there, whole and of this folder's backbone."""
    path = folder.embeddings(number)
    try:
        with safe_open(path, "pt") as file:
            return bool((file.metadata() or {}).get("made_by") == folder.made_by)
    except (FileNotFoundError, SafetensorError):
        return False


def pair_candidates(folder: ShardFolder, number: int) -> None:
    """Make a pair shard from a candidate shard: bytes are copied, nothing is decoded."""
    config = folder.config
    index = folder.index(CANDIDATES, number)
    path = folder.tar(CANDIDATES, number)
    cap = config["max_pairs_per_prompt"]
    total = Paired()

    def samples() -> Iterator[TarSample]:
        nonlocal total
        for paired in pair_stream(
            judged_of(folder, number), config["policy"], config["margin"], cap
        ):
            total += paired
            for rank, pair in enumerate(paired.pairs):
                yield _pair_sample(pair, rank, folder, path, index)

    def about() -> dict[str, Any]:
        return {
            **_about(folder, PAIRS, number),
            "paired_by": folder.paired_by,
            "candidates_sha256": index["tar"]["sha256"],
            "ties": total.ties,
            "under_margin": total.under_margin,
            "over_cap": total.over_cap,
            "failures": dict(total.failures),
        }

    write_shard(folder.tar(PAIRS, number), samples(), about)


def text_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def to_npy(latents: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, latents.numpy())
    return buffer.getvalue()


def from_npy(data: bytes) -> Tensor:
    return torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))


def _write_candidates(
    folder: ShardFolder, number: int, candidates: Iterable[Candidate], track: Track
) -> None:
    def samples() -> Iterator[TarSample]:
        for candidate in candidates:
            assert candidate.verdict is not None, "candidates are judged before they are written"
            files = {
                folder.suffix: to_bytes(candidate.picture),
                "latents.npy": to_npy(candidate.latents),
            }
            yield candidate_sample(Judged(candidate.request, candidate.verdict), files)
            track(candidate)

    write_candidates(folder, number, samples())


def write_candidates(
    folder: ShardFolder,
    number: int,
    samples: Iterable[TarSample],
    more: dict[str, Any] | None = None,
) -> None:
    """`more` is added to the index."""

    def about() -> dict[str, Any]:
        own = _about(folder, CANDIDATES, number)
        return {**own, "judged_by": folder.judged_by, **(more or {})}

    write_shard(folder.tar(CANDIDATES, number), samples, about)


def _about(folder: ShardFolder, kind: str, number: int) -> dict[str, Any]:
    return {"kind": kind, "shard": number, "made_by": folder.made_by}


def candidate_sample(judged: Judged, files: dict[str, bytes]) -> TarSample:
    """`files` are the picture and, where there are any, the latents."""
    request, verdict = judged.request, judged.verdict
    facts = {
        "prompt": request.prompt_number,
        "tag": request.prompt.tag,
        "score": verdict.score,
        "correct": verdict.correct,
        "failure": verdict.failure,
    }
    return TarSample(request.key, files | {"json": to_json(row_of(judged))}, facts)


def judged_of(folder: ShardFolder, number: int) -> Iterator[Judged]:
    """The candidates of a shard with their verdicts, in order."""
    path = folder.tar(CANDIDATES, number)
    for key, entry in folder.index(CANDIDATES, number)["samples"].items():
        fields = read_fields(path, {"json": entry["members"]["json"]})
        yield Judged.from_row(load_json(fields["json"]), int(key.removeprefix("cand-")))


def _pair_sample(
    pair: Pair, rank: int, folder: ShardFolder, path: Any, index: dict[str, Any]
) -> TarSample:
    """`rank` numbers the pairs of a prompt; with the prompt's number it makes the key."""
    request, config = pair.winner.request, folder.config
    number = request.prompt_number * config["max_pairs_per_prompt"] + rank
    fields: dict[str, bytes] = {}
    for role, judged in (("winner", pair.winner), ("loser", pair.loser)):
        members = index["samples"][judged.request.key]["members"]
        bytes_of = read_fields(path, members)
        fields[f"{role}.{folder.suffix}"] = bytes_of[folder.suffix]
        if folder.encoded:
            fields[f"{role}.npy"] = bytes_of["latents.npy"]
    row = {
        "prompt": request.prompt.to_row(),
        "winner": _side(pair.winner),
        "loser": _side(pair.loser),
        "margin": pair.margin,
        **{name: config[name] for name in ("backbone", "sampler", "judge", "versions")},
    }
    fields["json"] = to_json(row)
    facts = {
        "prompt": request.prompt_number,
        "tag": request.prompt.tag,
        "margin": pair.margin,
        "winner": pair.winner.request.key,
        "loser": pair.loser.request.key,
    }
    return TarSample(f"pair-{number:08d}", fields, facts)


def _side(judged: Judged) -> dict[str, Any]:
    request: Request = judged.request
    verdict = judged.verdict.model_dump(mode="json", exclude={"judge"})
    return {
        "key": request.key,
        "candidate": request.index,
        "seed": request.seed,
        "verdict": verdict,
    }

"""`--allocate`: more candidates for prompts of which some are right and some wrong.

Every prompt of a shard gets the first half of its candidates. Their verdicts share the shard's
other half out, in proportion to p (1 - p), the variance of a verdict where a share p is right:
prompts that are always or never right, of which there is nothing to learn, get no more. A candidate
is the one that it would be without: its seed is a function of its prompt and its number there. So a
shard is a function of the folder's configuration and its own number, as any other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain

from sipo.datagen.generation.sampling import batches
from sipo.datagen.generation.types import Batch, Kept, Request, Right, requests_for
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.judge import Judge


def check_allocation(candidates: int, judge: Judge) -> None:
    """Raises ValueError where there is nothing to share out, or verdicts need all candidates."""
    if candidates < 3:
        raise ValueError(
            f"--allocate shares out what is over 2 candidates of each prompt, and --candidates is "
            f"{candidates}; give at least 3, or leave it out"
        )
    refuse_majority(judge)


def refuse_majority(judge: Judge) -> None:
    """Raises ValueError for a judge that compares all candidates of a prompt with each other."""
    if judge.describe().get("rule") == "majority":
        raise ValueError(
            "--allocate gives every prompt another number of candidates, and the ensemble rule "
            "'majority' compares those of a prompt with each other; choose another rule"
        )


def allocated_batches(
    folder: ShardFolder, numbers: Iterable[int], size: int, seen: Mapping[int, Sequence[Right]]
) -> Iterator[Batch[Request] | None]:
    """The work of these shards; None where the next depends on verdicts that are not `seen` yet.

    A shard's first half comes before the other half of the shard before it, so that there is
    something to sample while verdicts are waited for.
    """
    before: int | None = None
    for number in chain(numbers, [None]):
        if number is not None:
            for part in batches(_first_half(folder, number), size):
                yield Batch(number, part, last=False)
        if before is not None:
            awaited = len(folder.prompts_of(before)) * folder.config.first_candidates
            while len(seen[before]) < awaited:
                yield None
            yield from _other_half(folder, before, size, seen[before])
        before = number


def _first_half(folder: ShardFolder, number: int) -> Iterator[Request]:
    config = folder.config
    for at, prompt in folder.prompts_of(number):
        indices = range(config.first_candidates)
        yield from requests_for(at, prompt, indices, config.seed, config.keys_per_prompt)


def _other_half(
    folder: ShardFolder, number: int, size: int, judged: Sequence[Right]
) -> Iterator[Batch[Request]]:
    """The last batch ends the shard; where no prompt gets more it is empty."""
    config, prompts = folder.config, folder.prompts_of(number)
    first = config.first_candidates
    weights = [variance([right for of, right in judged if of == at]) for at, _ in prompts]
    shares = shared_out(len(prompts) * (config.candidates - first), weights)
    asked = chain.from_iterable(
        requests_for(at, prompt, range(first, first + more), config.seed, config.keys_per_prompt)
        for (at, prompt), more in zip(prompts, shares, strict=True)
    )
    parts = list(batches(asked, size)) or [[]]
    for place, part in enumerate(parts, 1):
        yield Batch(number, part, last=place == len(parts))


def variance(right: Sequence[bool | None]) -> Fraction:
    """p (1 - p) of the share p that is right among those that were judged; 0 of none."""
    judged = [one for one in right if one is not None]
    share = Fraction(sum(judged), len(judged) or 1)
    return share * (1 - share)


def shared_out(total: int, weights: Sequence[Fraction]) -> list[int]:
    """`total` in proportion to the weights, by largest remainders, the first of equals first.

    Where all weights are 0 nothing is shared out.
    """
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    exact = [total * weight / whole for weight in weights]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda at: shares[at] - exact[at])
    for at in by_remainder[: total - sum(shares)]:
        shares[at] += 1
    return shares


def in_order_of_prompts(made: Iterable[Batch[Kept]]) -> Iterator[Batch[Kept]]:
    """One batch a shard: candidates of a prompt follow each other, as in any shard.

    Two shards are held at most.
    """
    held: dict[int, list[Kept]] = defaultdict(list)
    for batch in made:
        held[batch.shard] += batch.items
        if batch.last:
            kept = sorted(held.pop(batch.shard), key=lambda one: one.judged.request.number)
            yield Batch(batch.shard, kept, last=True)

"""What `PairStream` keeps: every text once, and no more bytes than it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from memory_pairs import MemoryPairs

from sipo.train.data import pair_batches
from sipo.train.data.pair_batches import PairStream


def of_two_texts(count: int = 6) -> MemoryPairs:
    """Each pair with tensors of its own, as they come from files."""
    pairs = MemoryPairs(count)
    texts = [record.conditioning["encoder_hidden_states"] for record in pairs.records[:2]]
    pairs.records = [
        replace(
            record,
            conditioning={"encoder_hidden_states": texts[place % 2].clone()},
            loser_conditioning={"encoder_hidden_states": texts[0].clone()},
        )
        for place, record in enumerate(pairs.records)
    ]
    return pairs


def test_a_text_is_kept_once() -> None:
    stream = PairStream(of_two_texts(), 0)
    kept = [stream[place] for place in range(6)]
    sides = [side for pair in kept for side in (pair.conditioning, pair.loser_conditioning)]
    assert len({id(side) for side in sides}) == 2
    latents, text = 6 * 2 * 4 * 8 * 8 * 4, 3 * 32 * 4
    assert stream._cached_bytes == latents + 2 * text
    assert all(stream[place] is pair for place, pair in enumerate(kept))


def test_pairs_are_those_of_the_data() -> None:
    pairs = of_two_texts()
    stream = PairStream(pairs, 0)
    for place in (*range(6), *range(6)):
        kept, record = stream[place], pairs[stream.index(place)]
        assert kept.key == record.key
        assert torch.equal(kept.loser, record.loser)
        for mine, read in zip(
            (kept.conditioning, kept.loser_conditioning),
            (record.conditioning, record.loser_conditioning),
            strict=True,
        ):
            assert mine is not None
            assert read is not None
            assert torch.equal(mine["encoder_hidden_states"], read["encoder_hidden_states"])


def test_half_precision_and_other_shapes_are_told_apart() -> None:
    stream = PairStream(MemoryPairs(1), 0)
    zeros = torch.zeros(2, 4)
    texts = [{"a": zeros}, {"b": zeros}, {"a": zeros.bfloat16()}, {"a": zeros.view(4, 2)}]
    assert len({id(stream._shared(text)) for text in texts}) == 4


def test_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_batches, "CACHE_BYTES", 4000)
    stream = PairStream(of_two_texts(), 0)
    for place in range(6):
        assert stream[place].key
    assert len(stream._cache) == 2

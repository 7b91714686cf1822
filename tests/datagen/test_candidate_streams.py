"""Requests -> candidates -> verdicts: streams over records, independent of order and batch."""

from __future__ import annotations

from dataclasses import replace

import torch
from PIL import Image

from sipo.backbones.base import Backbone
from sipo.datagen.generation import sampling
from sipo.datagen.generation.types import Candidate, Judged, requests
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar

CAT, DOGS = grammar.single_object("cat"), grammar.counting("dog", 2)


def test_a_seed_depends_on_text_and_index_only() -> None:
    first = list(requests([(0, CAT), (1, DOGS)], candidates=3, seed=7))
    swapped = list(requests([(0, DOGS), (1, CAT)], candidates=5, seed=7))
    seeds = {(r.prompt.text, r.index): r.seed for r in first}
    assert len(set(seeds.values())) == 6
    assert seeds.items() <= {(r.prompt.text, r.index): r.seed for r in swapped}.items()
    assert all(0 <= r.seed < 2**63 for r in first)
    assert [r.key for r in first][::5] == ["cand-00000000", "cand-00000005"]


def test_candidates_do_not_depend_on_batch_size(tiny_backbone: Backbone) -> None:
    asked = list(requests([(0, CAT), (1, DOGS)], candidates=3, seed=0))
    sampler = tiny_backbone.default_sampler
    alone = list(sampling.sample(asked, tiny_backbone, sampler, batch_size=1))
    together = list(sampling.sample(asked, tiny_backbone, sampler, batch_size=4))
    for a, b in zip(alone, together, strict=True):
        assert a.request == b.request
        assert a.latents.dtype == torch.float32
        torch.testing.assert_close(a.latents, b.latents, rtol=1e-4, atol=1e-4)


def test_sampling_is_lazy(tiny_backbone: Backbone) -> None:
    asked = iter(requests([(0, CAT)], candidates=10, seed=0))
    stream = sampling.sample(asked, tiny_backbone, tiny_backbone.default_sampler, batch_size=2)
    next(stream)
    assert next(asked).index == 2


def test_verdicts_follow_their_candidates_and_not_finite_latents_fail() -> None:
    image = Image.new("RGB", (8, 8))
    asked = requests([(0, CAT)], candidates=3, seed=0)
    given = [Candidate(r, image, torch.zeros(4, 1, 1)) for r in asked]
    given[1] = replace(given[1], latents=torch.full((4, 1, 1), torch.nan))
    judged = list(sampling.judge(given, FakeJudge(), batch_size=2))
    verdicts = [c.verdict for c in judged]
    assert [v is not None and v.failure for v in verdicts] == [None, "latents are not finite", None]


def test_a_judged_candidate_survives_its_json() -> None:
    request = next(requests([(3, DOGS)], candidates=2, seed=0))
    verdict = FakeJudge().judge([Image.new("RGB", (8, 8))], [DOGS])[0]
    judged = Judged(request, verdict)
    assert Judged.of(judged.row(), request.key) == judged

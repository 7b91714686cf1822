"""A pair's `.json` with all that the judge said, as pages show it."""

from __future__ import annotations

from sipo.datagen.storage.untrusted_json import Lenient, Share
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict


class FullSide(Lenient):
    key: str  # of the candidate
    verdict: Verdict


class FullPair(Lenient):
    prompt: Prompt
    winner: FullSide
    loser: FullSide
    margin: Share

    @property
    def sides(self) -> dict[str, FullSide]:
        return {"winner": self.winner, "loser": self.loser}

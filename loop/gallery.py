"""The same prompts and seeds by every round that was kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sipo.feedback.prompts.prompt import EVERY_TAG
from sipo.geneval.looking.chosen_prompts import shared_prompts
from sipo.geneval.looking.judged_rows import Judged, read_judged
from sipo.geneval.looking.prompt_cards import fitting_side_px, prompt_card
from sipo.loop.attempts import Attempt
from sipo.loop.result import LoopSummary, RoundSummary
from sipo.pages.same_prompts import PromptCard

CARDS = 12  # shared out among the tags that there are
PER_PROMPT = 2
MOST_ROUNDS = 10  # side by side; of more, evenly taken


@dataclass(frozen=True)
class Gallery:
    """`names` are the rounds', as the slider says them."""

    names: list[str]
    cards: list[PromptCard]


def gallery(out: Path, result: LoopSummary) -> Gallery:
    """Some prompts of every tag, evenly spaced in the suite: chosen without looking."""
    shown = [_judged(out, entry, result.best) for entry in _some(result.accepted, result.best)]
    chosen = list(chosen_prompts(shown))
    side_px = fitting_side_px(shown, chosen, PER_PROMPT)
    cards = [prompt_card(shown, prompt, side_px, PER_PROMPT) for prompt in chosen]
    return Gallery([one.name for one in shown], cards)


def _judged(out: Path, entry: RoundSummary, best: int) -> Judged:
    name = f"round {entry.round}" if entry.round else "base"
    marked = f"{name} (best)" if entry.round == best else name
    return read_judged(out / Attempt(entry.round, entry.attempt).name("eval"), marked)


def _some(rounds: Sequence[RoundSummary], best: int) -> list[RoundSummary]:
    """The base, the best and the last among them."""
    if len(rounds) <= MOST_ROUNDS:
        return list(rounds)
    step = (len(rounds) - 1) / (MOST_ROUNDS - 2)
    taken = {round(place * step) for place in range(MOST_ROUNDS - 1)}
    return [e for place, e in enumerate(rounds) if place in taken or e.round == best]


def chosen_prompts(shown: Sequence[Judged]) -> Iterator[str]:
    """Their rows as JSON: as many of every tag, evenly spaced in the suite."""
    first, by_tag = shown[0], dict[str, list[str]]()
    for prompt in shared_prompts(shown):
        by_tag.setdefault(first.rows[prompt][0].tag, []).append(prompt)
    for tag in sorted(by_tag, key=EVERY_TAG.index):
        prompts = by_tag[tag]
        yield from prompts[:: max(1, -(-len(prompts) * len(by_tag) // CARDS))]

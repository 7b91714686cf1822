"""What `sipo-train plot` draws over the pairs that a run has seen, each with how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from sipo.train.monitor.log_rows import Row

Reward = Literal["psi_w", "psi_l", "margin", "growth_w", "growth_l"]
Quantity = Reward | Literal["implicit_acc", "gradient_factor", "w", "keep", "grad_norm"]
Seen = Literal["overall", "empty_share", "sharpness", "single_object_confidence"]
WINNER, LOSER = "winners", "losers"
WHOLE = (0, 1.05)  # of shares


@dataclass(frozen=True)
class Panel:
    """One quantity, or that of winners and that of losers."""

    title: str
    reading: str
    of: tuple[Quantity, ...]
    levels: tuple[float, ...] = ()
    y_range: tuple[float, float] | None = None


PANELS = (
    Panel(
        "Rewards of winners and losers",
        "Winners should rise above 0 and losers fall below it. Where both fall, images may decay "
        "though the gap widens.",
        ("psi_w", "psi_l"),
        (0,),
    ),
    Panel(
        "Errors against the reference's",
        "Above 0 the policy denoises worse than its reference. Losers may; where winners do as "
        "well, images may decay.",
        ("growth_w", "growth_l"),
        (0,),
    ),
    Panel(
        "Gap between winners and losers",
        "What the loss widens, in a healthy run and in a sick one alike.",
        ("margin",),
        (0,),
    ),
    Panel(
        "Pairs whose winner is ahead",
        "The share of pairs in which the winner's reward is higher: 0.5 is chance. It rises in "
        "sick runs as well.",
        ("implicit_acc",),
        (0.5,),
    ),
    Panel(
        "How much a pair still teaches",
        "The gradient factor, 0.5 at the start. Below 0.05 most pairs teach nothing more; where it "
        "never leaves 0.5 the run does nothing.",
        ("gradient_factor",),
    ),
    Panel(
        "Pairs kept, and their weight w",
        "A pair below 1 - eps_clip is left out. A share that falls says that the policy has moved "
        "far from the pairs.",
        ("keep", "w"),
        y_range=WHOLE,
    ),
    Panel(
        "Size of gradients",
        "Beyond --max_grad_norm they are cut. Where most are, noise sets the direction.",
        ("grad_norm",),
    ),
)
NAMES = {"growth_w": WINNER, "growth_l": LOSER, "psi_w": WINNER, "psi_l": LOSER, "w": "weight w"}
NAMES |= {"keep": "share kept"}
"""Of the lines of panels that have two."""


class Looks(NamedTuple):
    title: str
    reading: str
    of: Seen


LOOKS = (
    Looks(
        "Validation: Overall",
        "The share of correct images on prompts of its own, the mean over tags: the one curve that "
        "says whether prompts are followed.",
        "overall",
    ),
    Looks(
        "Validation: empty images",
        "The share without any object; it should not rise.",
        "empty_share",
    ),
    Looks(
        "Validation: sharpness",
        "It falls where outlines dissolve and rises with noise; it should stay about where it was.",
        "sharpness",
    ),
    Looks(
        "Validation: confidence on single objects",
        "How sure the judge is of the one object asked for; it falls where objects become "
        "doubtful.",
        "single_object_confidence",
    ),
)
"""The last three tell a picture that decays from one that errs."""


def value(row: Row, quantity: Quantity) -> float | None:
    """None for what is measured against a reference, of a run without."""
    if quantity not in row and "psi_w" not in row:
        return None
    if quantity == "growth_w":
        return row["error_w"] / row["ref_error_w"] - 1
    if quantity == "growth_l":
        return row["error_l"] / row["ref_error_l"] - 1
    return row[quantity]

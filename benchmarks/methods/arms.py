"""What is compared: how a run is trained, on which pairs. Studies are groups of such arms.

Betas are in the unit of public code (docs/objectives.md). PAPER is the paper's setting: every
timestep is trained, and the chain's length is the one whose mask takes 6 % of mini-sd's
(`sipo-train calibrate` proposes it). HIGH is the model's own: its defaults.json leaves the low
timesteps out, where nothing is masked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

STEPS = 200
"""Of 16 pairs: two thirds of a round of the loop."""
CHAIN = 25
PLAIN = "--rank 32 --train_batch_size 16 --winner_anchor 0 --mixed_precision no"
"""Said for every arm, where the model's defaults.json has others or not."""
PAPER = f"--train_timesteps 0:1000 --num_chain_steps {CHAIN}"
HIGH = "--train_timesteps 400:1000"
COSINE, CONSTANT = "--lr_scheduler cosine", "--lr_scheduler constant"
ANCHOR = "--winner_anchor 1"


@dataclass(frozen=True)
class Arm:
    """`options` of sipo-train; `data` and `start` are names of data.py; `look_every` steps."""

    options: str
    data: str = "base"
    start: str | None = None
    steps: int = STEPS
    look_every: int | None = None

    def at(self, rate: float) -> Arm:
        return replace(self, options=f"{self.options} --learning_rate {rate:g}")


FORMULAS = {
    "diffusion-dpo": "--objective diffusion-dpo",
    "dpo-cm": "--objective dpo-cm",
    "sipo": "--objective sipo",
    "sipo, denominator ref": "--objective sipo --denominator ref",
}
OTHERS = {
    "sft": "--objective sft",
    "diffusion-kto": "--objective diffusion-kto --beta_dpo 1000",
    "nft": "--objective nft",
    "d3po": "--objective d3po",
}
PAIRED = {
    **{name: f"{options} --beta_dpo 1000" for name, options in FORMULAS.items()},
    **{
        f"{name}, anchor": f"{FORMULAS[name]} --beta_dpo 1000 {ANCHOR}"
        for name in ("diffusion-dpo", "sipo")
    },
}
ON_ALL = {name: Arm(f"{options} {PAPER} {COSINE}") for name, options in (PAIRED | OTHERS).items()}
ON_HIGH = {
    f"{name}, t >= 400": Arm(f"{options} {HIGH} {COSINE}")
    for name, options in {
        "diffusion-dpo, anchor": f"--objective diffusion-dpo --beta_dpo 100 {ANCHOR}",
        "sipo, anchor": f"--objective sipo --beta_dpo 100 {ANCHOR}",
        "sft": OTHERS["sft"],
        "nft": OTHERS["nft"],
        "sipo": "--objective sipo --beta_dpo 100",
    }.items()
}
FIRST = ("diffusion-dpo", "sipo", "dpo-cm", "sft", "sipo, anchor")
METHODS: dict[str, Arm] = {**{name: ON_ALL[name] for name in FIRST}, **ON_HIGH, **ON_ALL}
"""Each at the rate that did best for it on the validation prompts; pairs at t >= 400 have beta 100,
elsewhere 1000, the paper's."""
RATES = (1e-3, 3e-3)
HIGHER = {"nft": (1e-2,), "nft, t >= 400": (1e-2,)}
"""Rates beside those, where the higher of the two was still far from too high."""


def rated(name: str, rate: float) -> str:
    return f"{name}, {rate:g}"


def rates_of(method: str) -> tuple[float, ...]:
    return RATES + HIGHER.get(method, ())


SEARCH = {
    rated(name, rate): arm.at(rate) for name, arm in METHODS.items() for rate in rates_of(name)
}

BETAS = (10, 30, 100, 300, 1000, 3000, 10000)
TABLES_RATE = 3e-3
"""Of what is compared at one rate: betas, ages of pairs, a judge that errs."""
LATER_RATE = 1e-3
"""Where a run goes on from a trained policy: the loop's --later-rate of it, about."""


def own_beta(method: str) -> int:
    return 100 if "t >= " in method else 1000


def at_beta(method: str, beta: int) -> str:
    """The arm's name at TABLES_RATE; at its own beta a method is an arm of SEARCH."""
    return rated(method, TABLES_RATE) if beta == own_beta(method) else f"{method}, beta {beta}"


BY_BETA = (
    "sipo, anchor",
    "sipo, anchor, t >= 400",
    "sipo",
    "sipo, t >= 400",
    "diffusion-dpo, anchor, t >= 400",
    "diffusion-dpo",
    "dpo-cm",
)
AT_BETAS = {
    at_beta(name, beta): replace(
        METHODS[name],
        options=METHODS[name].options.replace(f"_dpo {own_beta(name)} ", f"_dpo {beta} "),
    ).at(TABLES_RATE)
    for name in BY_BETA
    for beta in BETAS
    if beta != own_beta(name)
}

ONE_X, LONG = 120, 16
LOOK_EVERY = ONE_X
COLLAPSE_RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
AT_CONSTANT_RATES = ("diffusion-dpo", "dpo-cm", "sipo", "sipo, anchor", "sft")
COLLAPSE = {
    f"{name}, constant {rate:g}": Arm(
        f"{(PAIRED | OTHERS)[name]} {PAPER} {CONSTANT} --stop_on_collapse",
        steps=LONG * ONE_X,
        look_every=LOOK_EVERY,
    ).at(rate)
    for name in AT_CONSTANT_RATES
    for rate in COLLAPSE_RATES
}
"""Until validation falls clearly below its best, or LONG times ONE_X steps."""

TEACHER = "the trained policy itself"
OFF_POLICY = {TEACHER: Arm("", "stronger", "teacher", steps=0)} | {
    f"{name}, {label}": Arm(f"{options} --beta_dpo 1000 {PAPER} {COSINE} {more}", data, start).at(
        LATER_RATE if start else TABLES_RATE
    )
    for label, data, start, more in (
        ("pairs of a stronger policy", "stronger", None, ""),
        ("pairs of an older policy", "base", "teacher", "--reference init"),
        ("pairs of its own", "stronger", "teacher", "--reference init"),
    )
    for name, options in {
        **FORMULAS,
        "sipo, denominator behaviour": "--objective sipo --denominator behaviour",
        "sipo, anchor": f"--objective sipo {ANCHOR}",
    }.items()
    if not (label == "pairs of a stronger policy" and "behaviour" in name)  # it is not at hand
}
"""A trained policy is the teacher, whose pairs are the stronger and, for itself, its own."""

FLIPPED = (10, 20, 30)
NOT_FLIPPED = {
    "diffusion-dpo, anchor, t >= 400": rated("diffusion-dpo, anchor, t >= 400", TABLES_RATE),
    "sipo, anchor, t >= 400": rated("sipo, anchor, t >= 400", TABLES_RATE),
    "sipo, anchor, t >= 400, beta 30": at_beta("sipo, anchor, t >= 400", 30),
    "sft, t >= 400": rated("sft, t >= 400", TABLES_RATE),
}
"""Where there is most to lose; name -> arm."""
NOISY = {
    f"{name}, {share} % flipped": replace((SEARCH | AT_BETAS)[arm], data=f"flipped-{share}")
    for share in FLIPPED
    for name, arm in NOT_FLIPPED.items()
}

ARMS: dict[str, Arm] = {**SEARCH, **AT_BETAS, **COLLAPSE, **OFF_POLICY, **NOISY}

"""What is compared: a name for each run and the options that make it. All see the same pairs."""

PLAIN = "--winner_anchor 0 --train_timesteps 0:1000"
"""Before an arm's own options: the trainer's defaults, where the model's file has others."""
HIGH = "--train_timesteps 400:1000"
SIPO = "--objective sipo --beta_dpo 1000"

ARMS: dict[str, str] = {
    # the methods, at the betas of their own code where nothing is said
    "sipo": SIPO,
    "diffusion-dpo, beta 1000": "--objective diffusion-dpo --beta_dpo 1000",
    "dpo-cm": "--objective dpo-cm",
    "diffusion-dpo, beta 5000": "--objective diffusion-dpo --beta_dpo 5000",
    "diffusion-dpo, beta 100": "--objective diffusion-dpo --beta_dpo 100",
    "sft": "--objective sft",
    "diffusion-kto": "--objective diffusion-kto",
    "d3po": "--objective d3po",
    # is it the method, the beta or the timesteps? (`diffusion-dpo, beta 1000` has SIPO's beta)
    "diffusion-dpo, beta 1000, t >= 64": "--objective diffusion-dpo --beta_dpo 1000 "
    "--train_timesteps 64:1000",
    "sipo, t >= 400": f"{SIPO} {HIGH}",
    "sipo, beta 100, t >= 400": f"--objective sipo --beta_dpo 100 {HIGH}",
    "diffusion-dpo, beta 100, t >= 400": f"--objective diffusion-dpo --beta_dpo 100 {HIGH}",
    "sft, t >= 400": f"--objective sft {HIGH}",
    # SIPO's own options
    "sipo, denominator ref": f"{SIPO} --denominator ref",
    "sipo, denominator ref, ratio_scale 0.5": f"{SIPO} --denominator ref --ratio_scale 0.5",
    "sipo, winner_anchor 1": f"{SIPO} --winner_anchor 1",
    "sipo, beta 100, t >= 400, winner_anchor 1": "--objective sipo --beta_dpo 100 "
    f"{HIGH} --winner_anchor 1",
}
"""The candidates are the base's, so `--denominator behaviour` is `ref` here."""

TIMES = 4
LONGER = ("sipo", "diffusion-dpo, beta 1000")
"""Also at TIMES the training: what comes late is seen there."""

CONTRASTS: dict[str, tuple[str, str]] = {
    "SIPO's weight and mask, at equal beta": ("sipo", "diffusion-dpo, beta 1000"),
    f"the same, {TIMES} x the training": (
        f"sipo, {TIMES} x",
        f"diffusion-dpo, beta 1000, {TIMES} x",
    ),
    "the same at t >= 400, where nothing is masked": (
        "sipo, beta 100, t >= 400",
        "diffusion-dpo, beta 100, t >= 400",
    ),
    "the mask's timesteps left out of Diffusion-DPO": (
        "diffusion-dpo, beta 1000, t >= 64",
        "diffusion-dpo, beta 1000",
    ),
    "the weight inside or outside the sigmoid": ("sipo", "dpo-cm"),
    "beta alone, Diffusion-DPO": ("diffusion-dpo, beta 100", "diffusion-dpo, beta 5000"),
    "beta alone, SIPO at t >= 400": ("sipo, beta 100, t >= 400", "sipo, t >= 400"),
    "timesteps alone, SIPO at beta 1000": ("sipo, t >= 400", "sipo"),
    "timesteps alone, Diffusion-DPO at beta 100": (
        "diffusion-dpo, beta 100, t >= 400",
        "diffusion-dpo, beta 100",
    ),
    "losers as well as winners, t >= 400": ("sipo, beta 100, t >= 400", "sft, t >= 400"),
    "the reference as denominator": ("sipo, denominator ref", "sipo"),
    "the anchor": ("sipo, winner_anchor 1", "sipo"),
    "the anchor, beta 100, t >= 400": (
        "sipo, beta 100, t >= 400, winner_anchor 1",
        "sipo, beta 100, t >= 400",
    ),
}
"""Question -> (with, without)."""

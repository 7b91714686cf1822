"""What is compared: a name for each run and the options that make it. All see the same pairs."""

HIGH = "--train_timesteps 400:1000"

ARMS: dict[str, str] = {
    # the methods
    "sipo": "--objective sipo",
    "diffusion-dpo, beta 1000": "--objective diffusion-dpo --beta_dpo 1000",
    "dpo-cm": "--objective dpo-cm",
    "diffusion-dpo, beta 5000": "--objective diffusion-dpo --beta_dpo 5000",
    "sft": "--objective sft",
    # is it the method, the beta or the timesteps? (at t >= 400 nothing is masked)
    "sipo, beta 100, t >= 400": f"--objective sipo --beta_dpo 100 {HIGH}",
    "diffusion-dpo, beta 100, t >= 400": f"--objective diffusion-dpo --beta_dpo 100 {HIGH}",
    "sipo, t >= 400": f"--objective sipo {HIGH}",
    "sft, t >= 400": f"--objective sft {HIGH}",
    "sipo, beta 100": "--objective sipo --beta_dpo 100",
    "diffusion-kto": "--objective diffusion-kto",
    "d3po": "--objective d3po",
    # more controls, and SIPO's own options (`diffusion-dpo, beta 1000` has SIPO's beta)
    "diffusion-dpo, beta 2000": "--objective diffusion-dpo --beta_dpo 2000",
    "diffusion-dpo, beta 1000, t >= 64": "--objective diffusion-dpo --beta_dpo 1000 "
    "--train_timesteps 64:1000",
    "sipo, beta 5000": "--objective sipo --beta_dpo 5000",
    "sipo, no mask": "--objective sipo --no_mask",
    "sipo, denominator ref": "--objective sipo --denominator ref",
    "sipo, denominator ref, ratio_scale 0.5": "--objective sipo --denominator ref "
    "--ratio_scale 0.5",
    "sipo, ratio_scale 0.25": "--objective sipo --ratio_scale 0.25",
    "sipo, winner_anchor 1": "--objective sipo --winner_anchor 1",
}
"""The candidates are the base's, so `--denominator behaviour` is `ref` here."""

TIMES = 4
LONGER = ("diffusion-dpo, beta 1000", "diffusion-dpo, beta 5000", "sipo")
"""Also at TIMES the training: what comes late is seen there."""

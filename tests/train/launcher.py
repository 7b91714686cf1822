"""The environment that `accelerate launch` makes of a configuration, without launching."""

from __future__ import annotations

import warnings

from sipo.recipes import FOLDER


def environment(config: str, *options: str) -> dict[str, str]:
    """Of recipes/accelerate/`config`.yaml: accelerate's own variables."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    file = str(FOLDER / "accelerate" / f"{config}.yaml")
    with warnings.catch_warnings(action="ignore"):  # that there is no GPU
        asked = launch_command_parser().parse_args(["--config_file", file, *options, "script"])
        asked, *_ = _validate_launch_command(asked)
        made = prepare_multi_gpu_env(asked)
    return {key: made[key] for key in made if key.startswith(("ACCELERATE_", "FSDP_"))}

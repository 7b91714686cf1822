"""What --backbone may name, told without loading a model or torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sipo.backbones.loading.model_folders import INDEX, check_pipeline
from sipo.common.hub import cached_unless_reachable
from sipo.common.plugins import find_part, installed_names, is_reference, near_first

GROUP: Literal["sipo.backbones"] = "sipo.backbones"
EMBEDDED = ("mini-sd",)
"""The models that come with sipo; what is embedded beside them, suites and judges, is for them."""

EMBEDDED_SUITES = ("mini", "mini-train", "mini-validation")


def is_embedded(name: str) -> bool:
    """Whether it is an embedded model, by its name or by its folder."""
    if name in EMBEDDED:
        return True
    from sipo.weights import WEIGHTS

    return Path(name).resolve() in {(WEIGHTS / one).resolve() for one in EMBEDDED}


def in_embedded_world(backbone: str | None, suite: str | None = None) -> bool:
    """Whether an embedded model (the default), or a suite of its world, is spoken of."""
    return suite in EMBEDDED_SUITES or is_embedded(backbone or EMBEDDED[0])


def check_backbone(name: str) -> None:
    """Raises ValueError for a name that is no backbone, a hub that does not answer, files that are
    damaged."""
    path = find_backbone(name)
    if is_part(name):
        find_part(GROUP, name, "--backbone")
    elif Path(path).is_dir():
        check_pipeline(Path(path), f"--backbone {name!r}:")


def find_backbone(name: str) -> str:
    """The folder of an embedded name, of a path, of a hub id that must come from the cache; a hub
    id, where the hub answers; a name from outside as it is."""
    if name in EMBEDDED:
        from sipo.weights import weights_folder

        return str(weights_folder(name))
    check_name(name)
    if _is_pipeline(name) or is_part(name):
        return name
    return str(cached_unless_reachable(name, f"--backbone {name!r}") or name)


def check_name(name: str) -> None:
    """Raises ValueError for what is no embedded model, no diffusers folder, no hub id and no name
    from outside."""
    known = name in EMBEDDED or _is_pipeline(name) or is_part(name)
    if not known and (not name or Path(name).exists() or not _is_hub_id(name)):
        names = near_first(name, [*EMBEDDED, *installed_names(GROUP)])
        raise ValueError(
            f"--backbone {name!r} is neither an embedded model ({', '.join(names)}), a "
            "diffusers folder (one with model_index.json), a hub id like 'owner/name' nor "
            "module:function of your own"
        )


def is_part(name: str) -> bool:
    """Whether it is named `module:attribute`, or by an installed package, and no folder is."""
    return not _is_pipeline(name) and (is_reference(name) or name in installed_names(GROUP))


def _is_pipeline(name: str) -> bool:
    return bool(name) and (Path(name) / INDEX).is_file()


def _is_hub_id(name: str) -> bool:
    owner, _, repository = name.partition("/")
    return bool(owner and repository) and not name.startswith((".", "/")) and "/" not in repository

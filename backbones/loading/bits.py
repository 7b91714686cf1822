"""What --quantize may name and needs, told without torch."""

from __future__ import annotations

from importlib.util import find_spec

from sipo.common.drivers import may_have_card

LIBRARIES = {"nf4": "bitsandbytes", "int8": "torchao"}


def check_bits(name: str) -> None:
    """Raises ValueError for other names, for a library that is not installed, and for nf4 where
    there is no GPU."""
    if name == "no":
        return
    if name not in LIBRARIES:
        known = ", ".join(["no", *LIBRARIES])
        raise ValueError(f"--quantize {name!r} is unknown; choose one of {known}")
    if find_spec(LIBRARIES[name]) is None:
        raise ValueError(
            f"--quantize {name!r} needs {LIBRARIES[name]}; pip install 'sipo[quantize]'"
        )
    if name == "nf4" and not may_have_card():
        raise ValueError(NO_CARD)


NO_CARD = "--quantize 'nf4' needs a GPU; 'int8' does not"

"""`sipo/` is the package; `train/` and the other rooms install as `sipo.train` and so on."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOMS = (
    "common",
    "weights",
    "pages",
    "feedback",
    "backbones",
    "datagen",
    "train",
    "geneval",
    "loop",
    "mini",
    "recipes",
)
packages = [name for room in ROOMS for name in find_packages(".", include=[room, f"{room}.*"])]
PACKAGED = """Of the package alone, `sipo-loop --out runs/demo` is what `make demo` runs. Files are
those of the source; `weights/mini-sd` is `sipo.weights.weights_folder("mini-sd")`.
"""


def long_description() -> str:
    """README with nothing beside it: without pictures and captions, and links as paths."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    text = re.sub(
        r"^!\[[^]]*\]\((?!https?:)[^)]*\)\n+(\*[^*]+\*\n+)?", "", text, flags=re.MULTILINE
    )
    text = re.sub(r"\[([^]]+)\]\((?!https?:)([^)#]+)[^)]*\)", r"\1 (`\2`)", text)
    title, _, rest = text.partition("\n\n")
    return f"{title}\n\n{PACKAGED}\n{rest}"


setup(
    packages=["sipo", *(f"sipo.{name}" for name in packages)],
    package_dir={f"sipo.{name}": name.replace(".", "/") for name in packages} | {"sipo": "sipo"},
    long_description=long_description(),
    long_description_content_type="text/markdown",
)

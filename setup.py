"""`sipo/` is the package; `train/` and the other rooms install as `sipo.train` and so on."""

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
setup(
    packages=["sipo", *(f"sipo.{name}" for name in packages)],
    package_dir={f"sipo.{name}": name.replace(".", "/") for name in packages} | {"sipo": "sipo"},
)

"""`train/` installs as `sipo.train`, and so on: one import name, folders at the top of the tree."""

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
    packages=[f"sipo.{name}" for name in packages],
    package_dir={f"sipo.{name}": name.replace(".", "/") for name in packages},
)

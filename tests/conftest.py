"""Fixtures shared by all rooms: a tiny real pipeline, saved once a session."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
# Before torch is imported: on one CPU the same bits, whatever the number of cores and wherever
# memory lies. Which instructions are used is left to the CPU: alike.py compares across those.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: `pytest &`
    signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, str(Path(__file__).parent))  # for `from tiny import tiny_pipeline`

import pytest
from tiny import tiny_pipeline

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder: 16 x 16 px, 2 sampling steps, random weights. Not to be written to."""
    return tiny_pipeline(tmp_path_factory.mktemp("tiny") / "tiny-sd")


@pytest.fixture(scope="session")
def tiny_backbone(tiny_folder: Path) -> Backbone:
    """Shared and frozen; load one of your own to change its weights."""
    return load_backbone(str(tiny_folder))

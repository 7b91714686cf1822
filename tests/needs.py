"""Tests that need what not every machine has: skipped with a reason, which pytest shows."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def needs(library: str, extra: str) -> pytest.MarkDecorator:
    """An optional library that requirements.lock leaves out; `extra` of ours brings it."""
    missing = find_spec(library) is None
    return pytest.mark.skipif(missing, reason=f"needs {library}; pip install 'sipo[{extra}]'")

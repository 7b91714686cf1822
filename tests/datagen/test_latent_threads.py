"""Latents are read by several threads, and NumPy's reader is used by one at a time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from sipo.datagen.storage.latent_files import from_npy, to_npy


def test_one_thread_parses_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, inside = np.load, threading.Semaphore(1)

    def alone(*args: Any, **given: Any) -> Any:
        assert inside.acquire(blocking=False), "two threads parse a header at once"
        time.sleep(0.001)
        inside.release()
        return whole(*args, **given)

    monkeypatch.setattr(np, "load", alone)
    latents = torch.arange(8.0).reshape(2, 2, 2)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(from_npy, [to_npy(latents)] * 20))
    assert all(torch.equal(each, latents) for each in found)

"""A quantized base is loaded on the card of its process, which has to be known by then."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.quantizers.bitsandbytes import BnB4BitDiffusersQuantizer

from sipo.train import trainer
from sipo.train.settings import make_settings


def test_bitsandbytes_goes_to_the_current_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    placed: Any = BnB4BitDiffusersQuantizer.update_device_map
    assert placed(None, None) == {"": "cuda:3"}


def test_the_card_is_chosen_before_the_base_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By accelerate, when the accelerator is made (`PartialState.set_device`)."""
    done: list[str] = []

    def open_backbone(*given: object) -> object:
        done.append("base")
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "open_data", lambda _: [])
    made = trainer.make_accelerator
    monkeypatch.setattr(trainer, "make_accelerator", lambda s: done.append("card") or made(s))
    monkeypatch.setattr(trainer, "open_backbone", open_backbone)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(make_settings({"data": ["x"]}))
    assert done == ["card", "base"]

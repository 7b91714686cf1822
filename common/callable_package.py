"""A room that is also the function it is for: `sipo.train(...)` beside `sipo.train.trainer`.

Python makes every imported subpackage an attribute of its package, so that a function `sipo.train`
would be gone as soon as anything imported `sipo.train.trainer`. A module may have a class of its
own (https://docs.python.org/3/reference/datamodel.html#customizing-module-attribute-access), and
that class may be callable.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType


class CallablePackage(ModuleType):
    """Calls the function of the room's name in its `api.py`, imported at the first call."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self._function()(*args, **kwargs)

    def _function(self) -> Callable[..., object]:
        function: Callable[..., object] = getattr(
            import_module(f"{self.__name__}.api"), self.__name__.rpartition(".")[2]
        )
        return function

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function())

    @property
    def __wrapped__(self) -> Callable[..., object]:
        """Where `help` and `inspect.getdoc` of notebooks look further."""
        return self._function()


def make_callable(room: str) -> None:
    """For a room's `__init__.py`: `make_callable(__name__)`."""
    sys.modules[room].__class__ = CallablePackage

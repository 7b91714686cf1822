"""What the functions of the Python interface have in common: their settings are keywords."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import ParamSpec, TypeVar

from pydantic import BaseModel

from sipo.common.errors import in_python_words
from sipo.common.settings import other_names

P = ParamSpec("P")
R = TypeVar("R")
Model = TypeVar("Model", bound=BaseModel)


def takes(model: type[BaseModel]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function whose `**options` are the settings of `model`.

    Its signature then lists them, other names that the command line takes work, a misspelt one is a
    TypeError as for any function, and a ValueError names settings as they are written in Python.
    """
    others = other_names(model)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = _listed(inspect.signature(function), model)
        who = f"{function.__module__.partition('.')[0]}.{function.__name__}"

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in [name for name in kwargs if name not in signature.parameters]:
                if (ours := others.get(name)) is None or ours in kwargs:
                    raise TypeError(_unexpected(who, name, [*signature.parameters, *others]))
                kwargs[ours] = kwargs.pop(name)
            with in_python_words():
                return function(*args, **kwargs)

        call.__signature__ = signature  # type: ignore[attr-defined]
        return call

    return decorate


def combined(
    model: type[Model], settings: Model | None, options: Mapping[str, object], **named: object
) -> Model:
    """`settings` with `options`, and those of `named` that are not None, over them."""
    return model.model_validate(given(settings, options, **named))


def given(
    settings: BaseModel | None, options: Mapping[str, object], **named: object
) -> dict[str, object]:
    """What was said at all, the later over the earlier."""
    below = {} if settings is None else settings.model_dump(exclude_unset=True)
    above = {name: value for name, value in named.items() if value is not None}
    return {**below, **options, **above}


def _listed(signature: inspect.Signature, model: type[BaseModel]) -> inspect.Signature:
    """With the settings after the function's own parameters, in the model's order."""
    first = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    names = {parameter.name for parameter in first}
    others = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.is_required() else field.default,
            annotation=field.annotation,
        )
        for name, field in model.model_fields.items()
        if name not in names
    ]
    return signature.replace(parameters=[*first, *others])


def _unexpected(function: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"see help({function})"
    return f"{function}() got an unexpected keyword argument {name!r}; {remedy}"

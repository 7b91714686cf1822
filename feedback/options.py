"""What an option means alike to several commands."""

from __future__ import annotations

import click


def joined(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> str | None:
    """--judge a --judge b is --judge a,b."""
    return ",".join(names) or None

"""Rounds of generate, train and evaluate. `sipo.loop(...)` is `api.loop`."""

from sipo.common.callable_package import make_callable

make_callable(__name__)

"""Training: objectives, importance weights, one loop. `sipo.train(...)` is `api.train`."""

from sipo.common.callable_package import make_callable

make_callable(__name__)

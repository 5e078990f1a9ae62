"""The command that serves an edit memory to assistants over the Model Context Protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from lte_chains.cli.options import DEFAULT_STORE, NamespaceOption, StoreOption, open_memory


def mcp(
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,NAME...]",
            help="What clients may do beyond reading: add, retract, propose.",
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
) -> None:
    """Serve the memory to assistants: MCP over stdin and stdout, read-only by default.

    Example: lte-chains mcp --store edits.db --allow propose
    """
    from lte_chains.integrations.mcp import WRITES, build_server

    allowed = [name.strip() for names in allow or () for name in names.split(",")]
    unknown = sorted(set(allowed) - set(WRITES))
    if unknown:  # told before a file is made
        raise typer.BadParameter(
            f"{', '.join(unknown)}: choose among {', '.join(WRITES)}", param_hint="--allow"
        )
    # A server that may write may also make the file, as `add` does.
    with open_memory(store, namespace, create=bool(allowed)) as memory:
        build_server(memory, allow=allowed).run("stdio", show_banner=False)

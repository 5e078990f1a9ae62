"""Commands over edits that wait for approval."""

from __future__ import annotations

from typing import Annotated

import typer

from lte_chains.cli.fields import (
    AliasOption,
    IdOption,
    ManyValuedOption,
    MomentOption,
    RelationOption,
    SourceOption,
    SubjectOption,
    TargetArgument,
    TextArgument,
    edit_of,
    validity,
)
from lte_chains.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    NamespaceOption,
    StoreOption,
    open_memory,
)
from lte_chains.cli.render import edit_json, print_json, print_table

IdsArgument = Annotated[list[str], typer.Argument(help="The pending edits' ids.", metavar="ID...")]


def propose(
    text: TextArgument,
    target: TargetArgument = None,
    subject: SubjectOption = None,
    relation: RelationOption = None,
    valid_from: MomentOption = None,
    valid_until: MomentOption = None,
    source: SourceOption = None,
    alias: AliasOption = None,
    many_valued: ManyValuedOption = None,
    id_: IdOption = None,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Propose one edit: it is kept, but nothing uses it before it is approved.

    Example: lte-chains propose "The CEO of Acme is" "Jane Doe" --source "agent 7"
    """
    edit = edit_of(
        text,
        target,
        subject=subject,
        relation=relation,
        valid_from=valid_from,
        valid_until=valid_until,
        source=source,
        aliases=alias,
        many_valued=many_valued,
        id=id_,
    )
    with open_memory(store, namespace, create=True) as memory:
        ids = memory.propose([edit])
        revision = memory.revision
    if as_json:
        print_json({"ids": ids, "revision": revision})
    else:
        typer.echo(f"proposed {ids[0]} (revision {revision})")


def pending(
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List the edits that wait for approval, the oldest first.

    Example: lte-chains pending --json
    """
    with open_memory(store, namespace) as memory:
        found = memory.pending()
        revision = memory.revision
    if as_json:
        print_json({"edits": [edit_json(edit) for edit in found], "revision": revision})
        return
    print_table(
        f"{len(found)} pending edits in {namespace!r}, revision {revision}",
        ("edit", "subject", "relation", "holds", "source", "id"),
        (
            (edit.descriptor, edit.subject, edit.relation, validity(edit), edit.source, edit.id)
            for edit in found
        ),
    )


def approve(
    ids: IdsArgument,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Let pending edits in, all or none; each supersedes what holds its slot now.

    Example: lte-chains approve 0f8c3d52
    """
    with open_memory(store, namespace) as memory:
        revision = memory.approve(ids)
    _report("approved", ids, revision, as_json=as_json)


def reject(
    ids: IdsArgument,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Discard pending edits, all or none; the history stays.

    Example: lte-chains reject 0f8c3d52
    """
    with open_memory(store, namespace) as memory:
        revision = memory.reject(ids)
    _report("rejected", ids, revision, as_json=as_json)


def _report(done: str, ids: list[str], revision: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"ids": ids, "revision": revision})
    else:
        typer.echo(f"{done} {', '.join(ids)} (revision {revision})")

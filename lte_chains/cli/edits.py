"""Commands over an edit memory: add, look up, undo, and move edits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lte_chains.cli.explain import print_explanation
from lte_chains.cli.fields import (
    AliasOption,
    IdOption,
    InstructionOption,
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
    as_datetime,
    is_new,
    open_memory,
    parse_moment,
    parse_revision_or_moment,
)
from lte_chains.cli.render import (
    edit_json,
    entry_json,
    match_json,
    print_json,
    print_table,
    visible,
)

if TYPE_CHECKING:
    from lte_chains.memory import HistoryEntry


def add(
    text: TextArgument,
    target: TargetArgument = None,
    subject: SubjectOption = None,
    relation: RelationOption = None,
    valid_from: MomentOption = None,
    valid_until: MomentOption = None,
    source: SourceOption = None,
    alias: AliasOption = None,
    many_valued: ManyValuedOption = None,
    instruction: InstructionOption = False,
    id_: IdOption = None,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add one edit; a later edit of the same slot supersedes the earlier one.

    Example: lte-chains add "The CEO of Acme is" "Jane Doe" --subject Acme --relation CEO

    Example: lte-chains add "Acme moved its headquarters to Lisbon in 2026."

    Example: lte-chains add "Speak well of it." --subject Acme --instruction
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
        instruction=instruction,
        id=id_,
    )
    with open_memory(store, namespace, create=True) as memory:
        ids = memory.add_edits([edit])
        revision = memory.revision
    if as_json:
        print_json({"ids": ids, "revision": revision})
    else:
        typer.echo(f"added {ids[0]} (revision {revision})")


def edits(
    at: Annotated[
        Any,
        typer.Option(parser=parse_moment, metavar="DATE", help="Only edits that hold then."),
    ] = None,
    as_of: Annotated[
        Any,
        typer.Option(
            parser=parse_revision_or_moment,
            metavar="REVISION|DATE",
            help="As the memory stood then.",
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List the live edits.

    Example: lte-chains edits --as-of 3 --json
    """
    with open_memory(store, namespace) as memory:
        found = memory.edits(as_of=as_of, at=None if at is None else as_datetime(at))
        revision = memory.revision
    if as_json:
        print_json({"edits": [edit_json(edit) for edit in found], "revision": revision})
        return
    print_table(
        f"{len(found)} live edits in {namespace!r}, revision {revision}",
        ("edit", "subject", "relation", "holds", "source", "id"),
        (
            (edit.descriptor, edit.subject, edit.relation, validity(edit), edit.source, edit.id)
            for edit in found
        ),
    )


def search(
    query: Annotated[str, typer.Argument(help="A question, or any text.")],
    k: Annotated[
        int | None,
        typer.Option(
            "--k", "-k", min=1, help="Most edits: 10, or with --explain 3, as retrievers have it."
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show why each edit is used or not, with hops.")
    ] = False,
    at: Annotated[
        Any,
        typer.Option(parser=parse_moment, metavar="DATE", help="Search the edits that hold then."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show the edits nearest to a query, and which of them are in scope.

    Example: lte-chains search "Who runs Acme?" --k 3

    Example: lte-chains search "Where was the CEO of Acme born?" --explain
    """
    if not query.strip():
        raise typer.BadParameter("the query is empty: ask something")
    moment = None if at is None else as_datetime(at)
    with open_memory(store, namespace) as memory:
        retriever = memory.as_retriever() if k is None else memory.as_retriever(k=k)
        if explain:
            print_explanation(retriever.explain(query, at=moment), as_json=as_json)
            return
        matches = retriever.candidates(query, at=moment)[:k]
    if as_json:
        print_json({"query": query, "matches": [match_json(match) for match in matches]})
        return
    print_table(
        f"candidates for {query!r}",
        ("score", "in scope", "edit", "id"),
        (
            (
                f"{match.score:.3f}",
                "yes" if match.in_scope else "no",
                match.edit.descriptor,
                match.edit.id,
            )
            for match in matches
        ),
    )


def retract(
    ids: Annotated[list[str], typer.Argument(help="The edits' ids.", metavar="ID...")],
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Take edits back: the model's own answers return, the history stays.

    Example: lte-chains retract 0f8c3d52
    """
    with open_memory(store, namespace) as memory:
        before = memory.revision
        revision = memory.retract(ids)
    if as_json:
        print_json({"ids": ids, "revision": revision})
    else:
        done = "retracted" if revision > before else "nothing to do, no longer live:"
        typer.echo(f"{done} {', '.join(ids)} (revision {revision})")


def history(
    id_: Annotated[
        str | None, typer.Argument(help="One edit's id; every edit if left out.", metavar="[ID]")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show every change that was made, the oldest first.

    Example: lte-chains history --json
    """
    with open_memory(store, namespace) as memory:
        entries = memory.history(id_)
    if as_json:
        print_json({"history": [entry_json(entry) for entry in entries]})
        return
    if not entries:
        typer.echo(f"nothing has happened in {namespace!r}")
    for entry in entries:  # no table: ids and moments alone would fill a terminal's width
        typer.echo(visible(f"{entry.revision:>4}  {entry.at:%Y-%m-%d %H:%M}  {_what(entry)}"))
        if entry.edit is not None:
            typer.echo(visible(f"      {' '.join(entry.edit.descriptor.split())}"))


def _what(entry: HistoryEntry) -> str:
    by = f" by {entry.superseded_by}" if entry.superseded_by else ""
    return f"{entry.action} {entry.id}{by}"


def rollback(
    revision: Annotated[int, typer.Argument(help="The revision to go back to.", min=0)],
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make the live edits what they were at a revision; itself a new revision.

    Example: lte-chains rollback 3
    """
    with open_memory(store, namespace) as memory:
        now = memory.rollback(revision)
        live = len(memory.edits())
    if as_json:
        print_json({"revision": now, "restored": revision, "edits": live})
    else:
        typer.echo(f"back to revision {revision}: {live} live edits (revision {now})")


def export_edits(
    path: Annotated[Path, typer.Argument(help="The JSONL file to write.", dir_okay=False)],
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Write the live edits to a JSONL file, one a line.

    Example: lte-chains export edits.jsonl
    """
    with open_memory(store, namespace) as memory:
        count = memory.export_jsonl(path)
        revision = memory.revision
    if as_json:
        print_json({"path": str(path), "edits": count, "revision": revision})
    else:
        typer.echo(f"wrote {count} edits to {path}")


def import_edits(
    path: Annotated[
        Path,
        typer.Argument(
            help="JSONL as `export` writes it, or KnowEdit's or EasyEdit's JSON.",
            exists=True,
            dir_okay=False,
        ),
    ],
    instructions: Annotated[
        bool,
        typer.Option(
            "--instructions", help="Take instructions too: only from files that you trust."
        ),
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add every edit of a file, all or none.

    Example: lte-chains import edits.jsonl --store edits.db
    """
    from lte_chains.interchange import read_edits

    # A file that cannot be read shall not leave an empty memory; a pipe can be read only once.
    if is_new(store) and path.is_file():
        read_edits(path, instructions=instructions)
    with open_memory(store, namespace, create=True) as memory:
        ids = memory.import_jsonl(path, instructions=instructions)
        revision = memory.revision
    if as_json:
        print_json({"ids": ids, "revision": revision})
    else:
        typer.echo(f"imported {len(ids)} edits (revision {revision})")

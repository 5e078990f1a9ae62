"""What a command is told of one edit, and the edit that it makes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lte_chains.cli.options import parse_moment
from lte_chains.edit import Edit

TextArgument = Annotated[
    str, typer.Argument(help="The prompt that TARGET completes, or a whole statement.")
]
TargetArgument = Annotated[
    str | None, typer.Argument(help="The new answer; leave it out for a statement.")
]
SubjectOption = Annotated[str | None, typer.Option(help="The entity that changes.")]
RelationOption = Annotated[str | None, typer.Option(help="Its property that changes.")]
MomentOption = Annotated[Any, typer.Option(parser=parse_moment, metavar="DATE")]
SourceOption = Annotated[str | None, typer.Option(help="Where the change comes from.")]
AliasOption = Annotated[
    list[str] | None,
    typer.Option("--alias", help="Another name of the subject; may be given several times."),
]
ManyValuedOption = Annotated[
    bool | None,
    typer.Option(
        "--many-valued/--one-valued",
        help="Add to what the slot holds, or replace it; by default the relation decides.",
        show_default=False,
    ),
]
InstructionOption = Annotated[
    bool,
    typer.Option(
        "--instruction",
        help="The last argument says how to answer what names --subject, or what asks TEXT.",
    ),
]
IdOption = Annotated[
    str | None, typer.Option("--id", help="An id of your own; the memory makes one if not.")
]


def edit_of(text: str, target: str | None, *, instruction: bool = False, **fields: Any) -> Edit:
    """Return the edit of a command's arguments: a statement if there is no target.

    Example:
        >>> edit_of("Acme moved to Lisbon.", None, subject="Acme").descriptor
        'Acme moved to Lisbon.'
        >>> edit_of("Speak well of it.", None, subject="Acme", instruction=True).descriptor
        'About Acme: Speak well of it.'
    """
    fields["aliases"] = fields.get("aliases") or ()
    if instruction:
        asked, told = ("", text) if target is None else (text, target)
        return Edit(prompt=asked, instruction=told, **fields)
    if target is None:
        return Edit.from_statement(text, **fields)
    return Edit(prompt=text, target_new=target, **fields)


def validity(edit: Edit) -> str | None:
    """Say when an edit holds; None if it always does.

    Example:
        >>> from datetime import date
        >>> validity(Edit(prompt="2 + 2 is", target_new="5", valid_from=date(2026, 1, 1)))
        'from 2026-01-01'
    """
    if edit.valid_from is None and edit.valid_until is None:
        return None
    start = f"from {edit.valid_from:%Y-%m-%d}" if edit.valid_from else ""
    end = f"until {edit.valid_until:%Y-%m-%d}" if edit.valid_until else ""
    return f"{start} {end}".strip()

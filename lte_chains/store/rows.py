"""Edits as rows of SQL: plain text, ISO dates and JSON."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as _spelled
from typing import Any

from lte_chains.edit import Edit
from lte_chains.errors import InvalidEditError, StoreError

CONTENT = (
    "prompt",
    "target_new",
    "subject",
    "relation",
    "statement",
    "valid_from",
    "valid_until",
    "source",
    "metadata",
    "aliases",
    "many_valued",
)
"""The columns that hold what the caller gave, in the order of `encode`; new ones go last."""

EDIT_COLUMNS = (*CONTENT, "slot", "id", "version", "revision")
"""The columns that make an edit of a namespace."""

_OF_INSTRUCTION = ""
"""The statement of an instruction, which stands in the column of the target: no statement is
empty, so nothing else is taken for one, and a version that knows none refuses to read it."""

Content = tuple[str | int | None, ...]
"""An edit's content, one value for each column of `CONTENT`."""


def encode(edit: Edit) -> Content:
    """Return an edit's content as SQL values.

    Raises:
        InvalidEditError: The metadata are not JSON values, or a text is not
            valid Unicode.
    """
    texts = (
        edit.prompt,
        edit.target_new if edit.instruction is None else edit.instruction,
        edit.subject,
        edit.relation,
        edit.statement if edit.instruction is None else _OF_INSTRUCTION,
        moment(edit.valid_from),
        moment(edit.valid_until),
        edit.source,
        _json_object(edit.metadata),
        json.dumps(edit.aliases, ensure_ascii=False) if edit.aliases else None,
    )
    try:
        "".join(filter(None, (*texts, edit.id, edit.matched_slot))).encode()
    except UnicodeEncodeError as error:
        raise InvalidEditError(
            f"an edit's text is not valid Unicode ({error.reason} at {error.start}): "
            "decode it with the right encoding first"
        ) from error
    return (*texts, None if edit.many_valued is None else int(edit.many_valued))


def digest(content: Content) -> bytes:
    """Return a hash that two edits share if and only if their content is the same.

    Columns that came later and are empty do not count: a hash stays what an
    earlier version wrote.
    """
    used = len(content)
    while used and content[used - 1] is None:
        used -= 1
    # As json.dumps writes a list, in a quarter of the time.
    spelled = [
        "null" if value is None else _spelled(value) if isinstance(value, str) else str(value)
        for value in content[:used]
    ]
    return hashlib.sha256(f"[{', '.join(spelled)}]".encode()).digest()


def decode(row: sqlite3.Row | Mapping[str, Any]) -> Edit:
    """Return the edit of a row of the versions table.

    Raises:
        StoreError: The row is damaged, or its table.
    """
    try:
        values, namespace = [row[name] for name in EDIT_COLUMNS], row["namespace"]
    except (IndexError, KeyError) as error:
        raise lacks_a_column(error) from error
    return decode_values(values, namespace)


def lacks_a_column(error: Exception) -> StoreError:
    """Return the error for a table whose columns are not those that were made."""
    return StoreError(
        f"a table of the memory lacks a column ({error}), so the file is damaged: restore the "
        "memory from a backup, or see what else is with lte-chains doctor"
    )


def decode_values(values: Sequence[Any], namespace: str | None) -> Edit:
    """Return the edit of the values of `EDIT_COLUMNS`.

    Raises:
        StoreError: They are damaged.
    """
    try:
        return _decoded(values, namespace)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise StoreError(
            f"a stored edit is damaged ({error}): restore the memory from a backup, "
            "or see what else is with lte-chains doctor"
        ) from error


def moment_of(text: str) -> datetime:
    """Return the moment that a stored text means.

    Raises:
        StoreError: The text is damaged.
    """
    try:
        return datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"a stored date is damaged ({text!r}): restore the memory from a backup"
        ) from error


def _decoded(values: Sequence[Any], namespace: str | None) -> Edit:
    prompt, target_new, subject, relation, statement, *rest = values
    valid_from, valid_until, source, metadata, aliases, many_valued, slot, *identity = rest
    id_, version, revision = identity
    instruction = None
    if statement == _OF_INSTRUCTION:
        instruction, target_new, statement = target_new, "", None
    return Edit(
        prompt=prompt,
        target_new=target_new,
        subject=subject,
        relation=relation,
        statement=statement,
        instruction=instruction,
        valid_from=None if valid_from is None else datetime.fromisoformat(valid_from),
        valid_until=None if valid_until is None else datetime.fromisoformat(valid_until),
        source=source,
        # Of its own it has none; the edit itself passes over what has.
        matched_slot=slot if statement else None,
        aliases=json.loads(aliases) if aliases else (),
        many_valued=None if many_valued is None else bool(many_valued),
        # Most edits have none: to read empty JSON takes as long as the rest.
        metadata={} if metadata == "{}" else json.loads(metadata),
        id=id_,
        namespace=namespace,
        version=version,
        revision=revision,
    )


def moment(value: datetime | None) -> str | None:
    """Return a moment as text that sorts as time does.

    Example:
        >>> moment(datetime(2026, 1, 2, tzinfo=UTC))
        '2026-01-02T00:00:00.000000+00:00'
    """
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")


def _json_object(metadata: Mapping[str, Any]) -> str:
    """Return metadata as JSON that reads back as equal values."""
    if not metadata:
        return "{}"
    plain = dict(metadata)
    try:
        json.dumps(plain, ensure_ascii=False).encode()  # lone surrogates could not be exported
        text = json.dumps(plain, allow_nan=False)
        if json.loads(text) == plain:
            return text
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEditError(f"metadata must be JSON values: {error}") from error
    raise InvalidEditError(
        f"metadata would not come back as they are: {plain!r}. "
        "Use JSON values: strings as keys, lists instead of tuples"
    )

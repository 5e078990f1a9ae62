"""Edits in files: this package's JSON lines, and KnowEdit's and EasyEdit's JSON.

A file holds either one JSON object a line, or one JSON list of objects. The
fields of an object are those of `Edit`; of the benchmarks' rows the edit itself
is read, and what judges it (rephrasings, portability, locality) is passed over.
Understood are

- ours, KnowEdit, EasyEdit: `prompt`, `target_new`, `subject`
- KnowEdit's WikiBio: `text`, `labels`, `concept`
- EasyEdit's ZsRE: `src`, `alt`, `subject`
- CounterFact as published: these in `requested_rewrite`, with ``{}`` for the subject
- the arguments of EasyEdit's ``edit()``: lists `prompts`, `target_new`, `subject`

An answer given as a list of aliases becomes its first alias. `slot` is that of free text which
`add_matched` brought to it; it counts in the namespace that is imported into. Instructions are read
only where the caller says so: whoever can write a file could else tell the model what
to do.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

from lte_chains.arguments import require_edits
from lte_chains.edit import Edit, normalise
from lte_chains.errors import DataError, InvalidEditError
from lte_chains.slots import is_many_valued

_FIELDS = (
    "prompt",
    "target_new",
    "subject",
    "relation",
    "statement",
    "instruction",
    "source",
    "id",
)
_OTHER_NAMES = {
    "prompt": ("prompt", "text", "src", "prompts"),
    "target_new": ("target_new", "labels", "alt"),
    "subject": ("subject", "concept"),
    "relation": ("relation", "relation_id"),
}


def edit_to_dict(edit: Edit) -> dict[str, Any]:
    """Return what a caller gave for an edit, with its id, as JSON values.

    Example:
        >>> edit_to_dict(Edit(prompt="2 + 2 is", target_new="5", valid_from=date(2026, 1, 1)))
        {'prompt': '2 + 2 is', 'target_new': '5', 'valid_from': '2026-01-01T00:00:00+00:00'}
    """
    row: dict[str, Any] = {name: value for name in _FIELDS if (value := getattr(edit, name))}
    for name in ("valid_from", "valid_until"):
        if (moment := getattr(edit, name)) is not None:
            row[name] = moment.isoformat()
    if edit.matched_slot:
        row["slot"] = edit.matched_slot
    if edit.aliases:
        row["aliases"] = list(edit.aliases)
    if edit.many_valued is not None:
        row["many_valued"] = edit.many_valued
    return {**row, "metadata": dict(edit.metadata)} if edit.metadata else row


def edit_from_dict(row: Mapping[str, Any], *, instructions: bool = False) -> Edit:
    """Return the edit of a row in any of the formats above.

    Args:
        row: A JSON object. Of a row with a fact, an `instruction` is passed over:
            other data sets call other things so.
        instructions: Whether it may be an instruction.

    Raises:
        DataError: The row is in none of them, or an instruction that may not be one.
        InvalidEditError: It is, but a field cannot be an edit's.

    Example:
        >>> edit_from_dict({"src": "Who runs Acme?", "alt": "Jane Doe", "loc": "…"}).descriptor
        'Who runs Acme? Jane Doe'
    """
    if not isinstance(row, Mapping):
        raise DataError(f"a row is a JSON object, not {row!r}")
    row = _flattened(row)
    fields = {name: _text(_first(row, name)) for name in _FIELDS}
    fields = {name: value for name, value in fields.items() if value is not None}
    if "statement" in fields or "target_new" in fields:
        fields.pop("instruction", None)
    if "instruction" in fields and not instructions:
        raise DataError(
            "this is an instruction, which tells the model how to answer, and no fact: allow "
            "instructions (instructions=True, --instructions) if you trust who wrote it"
        )
    if not (fields.keys() & {"statement", "instruction"} or {"prompt", "target_new"} <= {*fields}):
        raise DataError(
            f"no prompt and target_new, nor a statement, among the fields {sorted(row)}"
        )
    for name in ("valid_from", "valid_until"):
        if row.get(name) is not None:
            fields[name] = _moment(name, row[name])
    return Edit(
        **fields,
        matched_slot=_matched_slot(row) if "statement" in fields else None,
        aliases=row.get("aliases") or (),
        many_valued=row.get("many_valued"),
        metadata=_metadata(row),
    )


def read_edits(path: str | os.PathLike[str], *, instructions: bool = False) -> list[Edit]:
    """Read the edits of a file in any of the formats above, in their order.

    Args:
        path: The file.
        instructions: Whether some may be instructions.

    Raises:
        DataError: The file or one of its rows cannot be read; the message names it.
    """
    edits = []
    for place, row in read_rows(_path(path)):
        try:
            edits += require_edits([edit_from_dict(row, instructions=instructions)])
        except (DataError, InvalidEditError) as error:
            raise DataError(f"{path}, {place}: {error}") from error
    return edits


def write_edits(path: str | os.PathLike[str], edits: Iterable[Edit]) -> None:
    """Write edits as JSON lines, all or nothing.

    Raises:
        DataError: The file cannot be written; an existing one is as before.
    """
    target = _path(path)
    rows = map(edit_to_dict, _in_order(edits))
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    try:
        if target.exists() and not target.is_file():
            raise DataError(f"cannot write edits to {target}: it is not a file")
        replace_text(target, text)
    except OSError as error:
        raise DataError(f"cannot write edits to {target}: {error}") from error


def _in_order(edits: Iterable[Edit]) -> list[Edit]:
    """Return edits so that adding them one after the other ends none of them.

    What is left of a slot's only value may be younger than a value that was added
    beside it: added after that, it would take its place.
    """
    listed = list(edits)
    single = {edit.slot for edit in listed if not is_many_valued(edit)} - {None}
    return sorted(listed, key=lambda edit: is_many_valued(edit) and edit.slot in single)


def replace_text(target: Path, text: str) -> None:
    """Write a text file, all or nothing: an existing one is replaced once all is on the disk."""
    target = target.resolve()  # a link stays one
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with draft.open("x", encoding="utf-8") as file:
            if target.exists():
                shutil.copymode(target, draft)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def _path(path: str | os.PathLike[str]) -> Path:
    try:
        place = os.fsdecode(path)
    except TypeError:
        place = ""
    if not place or "\x00" in place:
        raise DataError(f"edits are read from and written to the path of a file, not {path!r}")
    return Path(place)


def read_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the rows of a file, each with its place for messages.

    Understood are one JSON object a line, one JSON list of objects, one object,
    and EasyEdit's lists side by side.

    Raises:
        DataError: The file cannot be read, or is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    try:
        whole = json.loads(text)
    except RecursionError as error:
        raise DataError(f"{path} is nested too deeply to be a file of edits") from error
    except ValueError:
        yield from _lines(path, text)
        return
    rows = _unzipped(whole) if isinstance(whole, Mapping) else whole
    if not isinstance(rows, list):
        raise DataError(f"{path} holds neither a list of rows nor one row a line")
    for number, row in enumerate(rows, 1):
        yield f"row {number}", row


def _lines(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    # Not splitlines(): U+2028 and its kin may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number} is not JSON: {error}") from error


def _unzipped(row: Mapping[str, Any]) -> list[Any]:
    """Return the rows of EasyEdit's arguments, lists side by side; else the row alone."""
    prompts = row.get("prompts")
    if not isinstance(prompts, list):
        return [row]
    columns = {
        name: values
        for name, values in row.items()
        if isinstance(values, list) and len(values) == len(prompts)
    }
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _flattened(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with its published CounterFact rewrite, if any, in plain fields."""
    rewrite = row.get("requested_rewrite")
    if not isinstance(rewrite, Mapping):
        return row
    prompt, subject = rewrite.get("prompt"), rewrite.get("subject")
    if isinstance(prompt, str) and isinstance(subject, str):
        prompt = prompt.replace("{}", subject)
    return {**rewrite, "prompt": prompt}


def _first(row: Mapping[str, Any], name: str) -> Any:
    names = _OTHER_NAMES.get(name, (name,))
    return next((row[n] for n in names if row.get(n) is not None), None)


def _text(value: Any) -> Any:
    """Return the text of an answer: itself, the first of its aliases, or its "str"."""
    while isinstance(value, list) and value:
        value = value[0]
    return value.get("str") if isinstance(value, Mapping) else value


def _moment(name: str, value: Any) -> date:
    try:
        # A date has ten characters; as a datetime it would have no time zone.
        return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is not an ISO date or time: {value!r}") from error


def _matched_slot(row: Mapping[str, Any]) -> str | None:
    """Return the slot to which free text was brought; of an instruction it cannot be."""
    slot = row.get("slot")
    if slot is None:
        return None
    if not isinstance(slot, str):
        raise DataError(f"slot is not a text: {slot!r}")
    return "\x1f".join(map(normalise, slot.split("\x1f"))) or None


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise DataError(f"metadata is not a JSON object: {metadata!r}")
    return metadata

"""Stretches that a prompt sets apart: fenced or quoted text, and JSON.

A block may hold the question, a document or code; `templates` decides which.
Here each is cut out, so that nothing inside one is taken for a label outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_MOST_READ = 1_000_000
"""Characters that are read in vain as JSON before the rest of a prompt is taken as text."""
_ATTEMPT = 2_000
"""How many characters an attempt in vain counts for at least: Python counts lines to say where."""
_MOST_BLOCKS = 1_000
"""Blocks of one kind that are cut out of one prompt; further ones are taken as text."""
_SIDE = "\ue000"
"""Stands on both sides of a block's number; a character for private use, so text has none."""
_MARK = re.compile(rf"{_SIDE}(\d+){_SIDE}")
_RULED = re.compile(r"^(---|===)[^\n]*\n(?P<held>.*?)^\1[^\n]*$", re.DOTALL | re.MULTILINE)
_QUOTED = re.compile(
    r"^[ \t]*(?P<alone>```|\"{3}|'{3})(?P<line>[^\n]+?)(?P=alone)[ \t]*$"
    r"|(?:^[ \t]*(?P<start>```|\"{3}|'{3})(?P<first>[^\n]*)"
    r"|(?<=[ \t:])(?P<inline>```|\"{3}|'{3})\w{0,20})\n(?P<held>.*?)(?:(?P=start)|(?P=inline))",
    re.DOTALL | re.MULTILINE,
)
_LANGUAGE = re.compile(r"\s*\w*\s*")
_JSON_START = re.compile(r"^[ \t]*+(?=\{\s*+\"|\[\s*+[\[{])", re.MULTILINE)
_LINE_END = re.compile(r"[ \t,;]*+$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A stretch that was cut out."""

    text: str
    """What stands between the fences, or the JSON itself."""
    json: Any = None
    """The object or list that the text is, if it is JSON."""


def json_of(text: str) -> Any:
    """Return the object or list that a whole text is as JSON; None if it is no such thing.

    Example:
        >>> json_of('{"question": "Who runs Acme?"}'), json_of("Who runs Acme?")
        ({'question': 'Who runs Acme?'}, None)
    """
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return None
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        return None


def cut_blocks(text: str) -> tuple[str, list[Block]]:
    r"""Return the text with a mark in the place of each block, and the blocks.

    Example:
        >>> marked, blocks = cut_blocks('Answer.\n```\nWho runs Acme?\n```')
        >>> blocks[0].text, without_marks(marked).strip()
        ('Who runs Acme?', 'Answer.')
    """
    blocks: list[Block] = []

    def marked(block: Block) -> str:
        blocks.append(block)
        return f"{_SIDE}{len(blocks) - 1}{_SIDE}"

    def quoted(found: re.Match[str]) -> str:
        held = found["line"] or found["held"]
        if found["start"] and not (found["start"] == "```" and _LANGUAGE.fullmatch(found["first"])):
            held = f"{found['first']}\n{held}"
        return marked(Block(held.strip(), json_of(held)))

    def ruled(found: re.Match[str]) -> str:
        return marked(Block(_restored(found["held"], blocks)))

    text = _QUOTED.sub(quoted, text.replace(_SIDE, ""), count=_MOST_BLOCKS)
    text = _RULED.sub(ruled, text, count=_MOST_BLOCKS)
    return _cut_json(text, marked), blocks


def _restored(text: str, blocks: list[Block]) -> str:
    return _MARK.sub(lambda mark: blocks[int(mark[1])].text, text).strip()


def _cut_json(text: str, marked: Callable[[Block], str]) -> str:
    """Put marks in the place of the JSON that stands on lines of its own."""
    decoder = json.JSONDecoder()
    kept, position, left = [], 0, _MOST_READ
    for opening in _JSON_START.finditer(text):
        start = opening.end()
        if start < position:
            continue
        try:
            value, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            left -= error.pos - start + _ATTEMPT
        except RecursionError:
            break
        else:
            if _LINE_END.match(text, end):
                kept += [text[position:start], marked(Block(text[start:end], value))]
            else:
                kept.append(text[position:end])
            position = end
        if left < 0 or len(kept) > 2 * _MOST_BLOCKS:
            break
    return "".join([*kept, text[position:]])


def marks_in(text: str) -> list[int]:
    """Return the numbers of the blocks whose marks stand in a text."""
    return [int(number) for number in _MARK.findall(text)]


def without_marks(text: str) -> str:
    """Return a text with a blank line in the place of each mark."""
    return _MARK.sub("\n\n", text)


def around(text: str, number: int) -> tuple[str, str]:
    """Return what stands before and after a block, other blocks left out."""
    before, _, after = text.partition(f"{_SIDE}{number}{_SIDE}")
    return without_marks(before), without_marks(after)

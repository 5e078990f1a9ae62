"""Ids for edits that bring none."""

from __future__ import annotations

import secrets
import time


def new_ids(count: int) -> list[str]:
    """Return new ids: UUIDs of version 7 as hexadecimal digits, ascending.

    They begin with the time, so that a ledger's indexes grow at their end: among a
    million edits, random ids would touch another page of each index for every one.

    Example:
        >>> first, second = new_ids(2)
        >>> len(first), first < second
        (32, True)
    """
    milliseconds = time.time_ns() // 1_000_000
    high = secrets.randbits(12)
    start = secrets.randbits(61)  # of 62 bits: room to count on
    beginning = f"{milliseconds << 16 | 7 << 12 | high:016x}"
    return [f"{beginning}{2 << 62 | low:016x}" for low in range(start, start + count)]

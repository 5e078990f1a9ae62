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
    start = secrets.randbits(73)  # of 74 bits: room to count on
    ids = []
    for place in range(start, start + count):
        high, low = place >> 62, place & (1 << 62) - 1
        value = milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low
        ids.append(f"{value:032x}")
    return ids

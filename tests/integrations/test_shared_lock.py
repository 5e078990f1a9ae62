"""A lock that many may share, and one may have alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from lte_chains.integrations.vector_stores.shared_lock import SharedLock


def test_readers_are_inside_together() -> None:
    lock, together = SharedLock(), threading.Barrier(3)

    def read(_: int) -> None:
        with lock.reading():
            together.wait(10)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(read, range(3)))


def test_a_writer_is_alone_and_its_turn_comes() -> None:
    lock, inside, seen, done = SharedLock(), set(), [], threading.Event()

    def read(number: int) -> None:
        while not done.is_set():
            with lock.reading():
                inside.add(number)
                seen.append("writer" in inside)
                inside.discard(number)

    def write(_: int) -> None:
        for _ in range(20):
            with lock.writing():
                seen.append(bool(inside))
                inside.add("writer")
                inside.discard("writer")

    with ThreadPoolExecutor(5) as pool:
        readers = [pool.submit(read, number) for number in range(3)]
        list(pool.map(write, range(2)))
        done.set()
        for reader in readers:
            reader.result(10)
    assert not any(seen)


def test_an_error_inside_lets_others_in() -> None:
    lock = SharedLock()
    for enter in (lock.writing, lock.reading, lock.writing):
        try:
            with enter():
                raise KeyError
        except KeyError:
            pass

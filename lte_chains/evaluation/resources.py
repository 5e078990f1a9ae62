"""What an edit costs: time, and memory at its peak."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MEGABYTE = 1024 * 1024
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """Time and memory of a block of code; filled in when it ends.

    Example:
        >>> with metered() as cost:
        ...     spent = sum(range(1000))
        >>> cost.seconds > 0
        True
    """

    seconds: float = 0.0
    """Wall time."""
    peak_mb: float | None = None
    """The most memory that was taken beyond what was in use before: of the GPU if torch runs on
    one, else of the process; None where the system does not tell."""


@contextmanager
def metered() -> Iterator[Cost]:
    """Measure a block of code."""
    cost = Cost()
    before = _memory(reset=True)
    started = time.perf_counter()
    try:
        yield cost
    finally:
        _wait_for_gpu()
        cost.seconds = time.perf_counter() - started
        after = _memory(reset=False)
        if before is not None and after is not None:
            cost.peak_mb = round(max(0.0, after - before) / _MEGABYTE, 2)


def _memory(*, reset: bool) -> float | None:
    """Return bytes in use now (with `reset`, which forgets earlier peaks), or the peak since."""
    gpu = _gpu_memory(reset=reset)
    if gpu is not None:
        return gpu
    try:
        if reset:
            _CLEAR.write_text("5", encoding="ascii")
        name = "VmRSS:" if reset else "VmHWM:"
        [line] = [x for x in _STATUS.read_text(encoding="ascii").splitlines() if name in x]
        return float(line.split()[1]) * 1024
    except (OSError, ValueError):
        # Elsewhere only the process's own highest peak is known, which grows but never falls.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak if sys.platform == "darwin" else peak * 1024)


def _gpu_memory(*, reset: bool) -> float | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    if reset:
        torch.cuda.reset_peak_memory_stats()
        return float(torch.cuda.memory_allocated())
    return float(torch.cuda.max_memory_allocated())


def _wait_for_gpu() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()

"""How long `import lte_chains` takes, against the langchain-core parts that it builds on.

Both are imported in fresh processes, by turns; the ratio of the medians is
printed. Exit code 1 if it is above 1.5.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

BASE = "import langchain_core.vectorstores, langchain_core.language_models.chat_models"
OURS = "import lte_chains"
ROUNDS = 15
LIMIT = 1.5


def seconds(statement: str) -> float:
    """Time a statement in a fresh interpreter, without the interpreter's own start."""
    code = (
        "from time import perf_counter\nstart = perf_counter()\n"
        f"{statement}\nprint(perf_counter() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    """Measure, print one JSON object, and judge."""
    seconds(BASE), seconds(OURS)  # fills the file cache and writes the bytecode
    pairs = [(seconds(BASE), seconds(OURS)) for _ in range(ROUNDS)]
    base, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = ours / base
    print(
        json.dumps(
            {
                "langchain_core_s": round(base, 3),
                "lte_chains_s": round(ours, 3),
                "ratio": round(ratio, 2),
                "limit": LIMIT,
            }
        )
    )
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())

"""Kill a PostgreSQL server under eight writers, again and again, and count what is lost.

One JSON object goes to stdout; it is an error if an acknowledged edit is lost, a
batch is kept in part, the memory does not open, or a search differs from the
history. How many kills may be given: ``python benchmarks/postgres_crashes.py 100``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.postgres_server import Server
from tests.store.crash_campaign import campaign

KILLS = 100
WRITERS = 8


def main() -> None:
    """Run the campaign and print what it found."""
    server = Server(durable=True)
    try:
        kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
        outcome = campaign(server, kills=kills, writers=WRITERS)
    finally:
        server.stop()
    print(json.dumps(asdict(outcome), indent=2))
    if outcome.damage:
        sys.exit("edits were lost or damaged")


if __name__ == "__main__":
    main()

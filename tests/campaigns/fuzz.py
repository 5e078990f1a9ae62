"""Random and damaged input for whatever reads: no error but our own, and nothing lost.

    python -m tests.campaigns.fuzz --inputs 100000

Each target takes a share of the inputs: files of edits, database files with their
logs and saved indexes, and command lines.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from typer.testing import CliRunner

from lte_chains.cli import app
from lte_chains.edit import Edit
from lte_chains.errors import LteError
from lte_chains.interchange import read_edits
from lte_chains.memory import EditMemory
from lte_chains.store import saved_indexes
from lte_chains.store.doctor import examine
from tests.fakes_embeddings import BagOfWordsEmbeddings

EMBEDDINGS = BagOfWordsEmbeddings(dim=8)
FIELDS = (
    *("prompt", "target_new", "subject", "relation", "statement", "aliases", "many_valued", "id"),
    *("metadata", "valid_from", "valid_until", "source", "src", "alt", "text", "labels", "concept"),
    *("requested_rewrite", "prompts", "str", "revision"),
)
TEXTS = (
    *("", " ", "Acme", "Who runs Acme?", "2026-01-01", "2026-01-01T00:00:00Z", "9999-12-31", "{}"),
    *("\x00", "\ud800", "\u2028", "é", "a" * 40_000, "0001-01-01T00:00:00+14:00", "NaN", "[1"),
)
COMMANDS = (
    *("add", "edits", "search", "retract", "history", "rollback", "propose", "pending", "approve"),
    *("reject", "export", "import", "backup", "restore", "doctor"),
)
OPTIONS = (
    *("--json", "--k", "--at", "--as-of", "--subject", "--relation", "--alias", "--many-valued"),
    *(
        "--single-valued",
        "--valid-from",
        "--valid-until",
        "--source",
        "--id",
        "--explain",
        "--help",
    ),
    *("--repair", "--replace", "--namespace", "--store", "-k", "-n", "--", "--nonsense"),
)


def value(rng: random.Random, depth: int = 0) -> object:
    """Return a JSON value, or what Python's JSON takes for one."""
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind < 3:
        return rng.choice(TEXTS)
    if kind == 3:
        return rng.choice([None, True, False])
    if kind == 4:
        return rng.choice([0, -1, 10**400, 1.5, float("nan"), float("inf")])
    if kind == 5:
        return rng.choice(FIELDS)
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(FIELDS): value(rng, depth + 1) for _ in range(rng.randrange(6))}


def damaged(rng: random.Random, content: bytes, most: int = 8) -> bytes:
    """Return bytes with some of them changed, cut out, doubled or put in."""
    changed = bytearray(content)
    for _ in range(rng.randrange(1, most)):
        at, length = rng.randrange(len(changed) + 1), rng.choice([1, 1, 2, 8, 100, 4096])
        kind = rng.randrange(5)
        if kind == 0:
            changed[at : at + length] = rng.randbytes(min(length, len(changed) - at))
        elif kind == 1:
            del changed[at : at + length]
        elif kind == 2:
            changed[at:at] = changed[at : at + length]
        elif kind == 3:
            changed[at : at + length] = bytes(min(length, len(changed) - at))
        else:
            changed[at:at] = rng.choice([b"{", b"]", b'"', b"\xff", b"\\u", b"\n", b"null", b","])
    return bytes(changed)


class Importer:
    """Reads files of edits."""

    share = 0.7

    def __init__(self, folder: Path) -> None:
        self._path = folder / "edits.jsonl"
        edits = [
            Edit(prompt="The CEO of Acme is", target_new="Jane", subject="Acme", aliases=("ACM",)),
            Edit.from_statement("Acme moved.", metadata={"a": [1, {"b": None}]}, id="x"),
        ]
        with EditMemory.open(":memory:", embeddings=EMBEDDINGS) as memory:
            memory.add_edits(edits)
            memory.export_jsonl(self._path)
        self._valid = self._path.read_bytes()

    def feed(self, rng: random.Random) -> str:
        kind = rng.randrange(3)
        if kind == 0:
            content = damaged(rng, self._valid)
        elif kind == 1:
            rows = [value(rng) for _ in range(rng.randrange(4))]
            content = "\n".join(map(json.dumps, rows)).encode()
        else:
            content = json.dumps(value(rng)).encode()
        self._path.write_bytes(content)
        try:
            edits = read_edits(self._path)
        except LteError as error:
            return type(error).__name__
        if edits:
            with EditMemory.open(":memory:", embeddings=EMBEDDINGS) as memory:
                try:
                    ids = memory.add_edits(edits)
                except LteError as error:
                    assert memory.revision == 0, "half an import"
                    return type(error).__name__
                assert len(ids) == len(edits)
        return "read"

    def finish(self) -> None:
        pass


class Opener:
    """Opens database files."""

    share = 0.1

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "opened"
        made = folder / "made"
        made.mkdir()
        saved_indexes._WORTH = 16
        memory = EditMemory.open(made / "edits.db", embeddings=EMBEDDINGS)
        self._states = [memory.edits()]
        memory.add_edits(Edit(prompt=f"Fact {n} is", target_new="so") for n in range(40))
        self._states.append(memory.edits())
        memory.search_edits("Fact 1")
        memory.close()
        memory = EditMemory.open(made / "edits.db", embeddings=EMBEDDINGS)
        memory.add_edits([Edit(prompt="Fact 3 is", target_new="other")])
        self._states.append(memory.edits())
        # As a process that was killed leaves it, with a log.
        self._files = {path.name: path.read_bytes() for path in made.iterdir()}
        memory.close()

    def feed(self, rng: random.Random) -> str:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        broken = rng.sample(sorted(self._files), rng.randrange(1, len(self._files) + 1))
        for name, content in self._files.items():
            changed = self._damaged(rng, content) if name in broken else content
            (self._folder / name).write_bytes(changed)
        path = self._folder / "edits.db"
        try:
            with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
                held = memory.edits()
                found = memory.search_edits("Fact 1")
            findings = examine(path)
            with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
                memory.history()
                memory.add_edits([Edit(prompt="Fact 5 is", target_new="new")])
                memory.search_edits("Fact 5")
            if rng.random() < 0.2:
                examine(path, repair=rng.random() < 0.5)
        except LteError as error:
            return type(error).__name__
        # A log whose end is damaged is read up to there: what was before is a state as well.
        if held in self._states and all(match.edit in held for match in found):
            return "opened"
        assert findings, "other edits than were ever there, and the doctor finds nothing"
        return "opened, and the doctor knows why it is not as it was"

    def finish(self) -> None:
        """Nothing is left to check: every file has been looked at by itself."""

    def _damaged(self, rng: random.Random, content: bytes) -> bytes:
        if rng.random() < 0.1:  # a letter, which leaves all structures as they are
            prompt = b"Fact %d is" % rng.randrange(40)
            return content.replace(prompt, prompt.replace(b"c", b"k"))
        return damaged(rng, content)


class CommandLine:
    """Calls the command line."""

    share = 0.2

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = folder / "cli.db"
        self._places = [str(folder / name) for name in ("cli.db", "out.jsonl", "no/file", "")]
        with EditMemory.open(self._store, embeddings=EMBEDDINGS, namespace="kept") as memory:
            memory.add_edits(Edit(prompt=f"Fact {n} is", target_new="so") for n in range(20))
            memory.export_jsonl(folder / "out.jsonl")
        with EditMemory.open(self._store, embeddings=EMBEDDINGS) as memory:
            self._ids = memory.add_edits([Edit(prompt="Fact 1 is", target_new="so")])
        (folder / "note.txt").write_text("no edits")
        self._places.append(str(folder / "note.txt"))
        opened = EditMemory.open.__func__

        def with_fake(cls, place, **options):
            return opened(cls, place, **{**options, "embeddings": EMBEDDINGS})

        self._patch = mock.patch.object(EditMemory, "open", classmethod(with_fake))
        self._runner = CliRunner(env={"LTE_STORE": str(self._store), "LTE_NAMESPACE": "fuzzed"})

    def feed(self, rng: random.Random) -> str:
        words = [rng.choice(COMMANDS)]
        for _ in range(rng.randrange(5)):
            kind = rng.randrange(5)
            if kind < 2:
                words.append(rng.choice(OPTIONS))
            elif kind == 2:
                words.append(rng.choice([*self._ids, "0", "-1", "1", "99999999999999999999", "x"]))
            elif kind == 3:
                words.append(rng.choice(TEXTS))
            else:
                words.append(rng.choice(self._places))
        # Not what is meant to destroy, with the very file, and no namespace that is watched.
        if words[0] == "restore" or (words[0] in ("export", "backup") and words[1:]):
            words = [word for word in words if word not in (str(self._store), "--replace")]
        # In the folder: a word may be taken for the name of a file to write.
        with self._patch, contextlib.chdir(self._folder):
            result = self._runner.invoke(app, words)
        error = result.exception
        assert error is None or isinstance(error, SystemExit), (words, repr(error))
        assert result.exit_code in (0, 1, 2), words
        assert "Traceback" not in result.output, words
        return f"exit {result.exit_code}"

    def finish(self) -> None:
        with EditMemory.open(self._store, embeddings=EMBEDDINGS, namespace="kept") as memory:
            assert len(memory.edits()) == 20, "edits were lost"
        assert examine(self._store) == []


TARGETS: tuple[Callable[[Path], Importer | Opener | CommandLine], ...] = (
    Importer,
    Opener,
    CommandLine,
)


def run(folder: Path, *, inputs: int, seed: int = 0) -> dict[str, dict[str, int]]:
    """Feed all targets and count what came of it; an assertion fails, or an error is not ours."""
    report = {}
    for make in TARGETS:
        target = make(folder)
        outcomes: dict[str, int] = {}
        for number in range(max(1, round(inputs * target.share))):
            rng = random.Random(f"{seed}:{type(target).__name__}:{number}")
            try:
                outcome = target.feed(rng)
            except BaseException as error:
                error.add_note(f"{type(target).__name__}, seed {seed}, input {number}")
                raise
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        target.finish()
        report[type(target).__name__] = outcomes
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = run(Path(place), inputs=given.inputs, seed=given.seed)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")

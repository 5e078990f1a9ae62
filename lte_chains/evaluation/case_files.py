"""Read rows to evaluate from the files of the field, whatever their layout.

Each layout is translated into KnowEdit's, and read by `lte_chains.cases.parse_case`:
answers, aliases and mislabelled probes are treated alike everywhere.
"""

from __future__ import annotations

import csv
import logging
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from lte_chains.cases import Case, Task, flatten_answers, parse_case
from lte_chains.errors import ConfigError, DataError
from lte_chains.interchange import read_rows

_log = logging.getLogger(__name__)

Row = Mapping[str, Any]
_RIPPLE_INSIDE = (
    "Logical_Generalization",
    "Subject_Aliasing",
    "Compositionality_I",
    "Compositionality_II",
)
_RIPPLE_OUTSIDE = ("Relation_Specificity", "Forgetfulness")
_VERB = re.compile(r" (?:is|are|follows|followed by)(?= )")
"""What ends the prompts of RippleEdits' facts."""
_HOPS = range(2, 7)
_REPLIES = 8
"""Replies of each opinion by which ConvSent's edits are judged."""


@dataclass(frozen=True)
class Layout:
    """A layout of rows: how to tell it, and how to translate it.

    Example:
        >>> layout_of({"requested_rewrite": {}, "paraphrase_prompts": []}).name
        'counterfact'
    """

    name: str
    """What it is called in messages."""
    fields: frozenset[str]
    """A row with all of these fields is of this layout."""
    translate: Callable[[Row], Iterable[Row]]
    """Makes rows in KnowEdit's layout of one."""
    task: Task = "fact"
    """What kind of edits they are."""

    def cases(self, row: Row) -> list[Case]:
        """Read a row."""
        translated = list(self.translate(row))
        if self.task == "fact":
            return list(map(parse_case, translated))
        return [_of_task(self.task, parse_case(one), one) for one in translated]


def read_case_file(path: str | Path, *, limit: int | None = None) -> list[Case]:
    """Read the rows of a file, in their order.

    Understood are KnowEdit's six sets, CounterFact as published or as in KnowEdit,
    MQuAKE, RippleEdits and JSONL of any of them, and HalluEditBench's tables
    (``.csv``). Of rows from which no edit can be made, the number is logged.

    Args:
        path: The file.
        limit: Return at most that many rows, from the front.

    Raises:
        DataError: The file cannot be read, or holds no rows with an edit; the
            message names the row that cannot be read.
        ConfigError: The limit is not positive.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit={limit} leaves no rows to evaluate: use 1 or more, or None")
    path = Path(path)
    rows = _table(path) if path.suffix.lower() == ".csv" else read_rows(path)
    found = list(islice(_cases(path, rows), limit))
    if not found:
        raise DataError(f"{path} holds no rows with an edit")
    return found


def read_case_files(paths: Iterable[str | Path], *, limit: int | None = None) -> list[Case]:
    """Read the rows of several files, one file after the other; see `read_case_file`.

    Raises:
        DataError: A file cannot be read.
        ConfigError: The limit is not positive, or there are no files.
    """
    found: list[Case] = []
    for path in paths:
        if limit is not None and found and len(found) >= limit:
            break
        found += read_case_file(path, limit=None if limit is None else limit - len(found))
    if not found:
        raise ConfigError("there are no files to read rows from: give at least one")
    return found


def layout_of(row: Any) -> Layout:
    """Return the layout of a row, by its fields; KnowEdit's own if no other fits.

    Raises:
        DataError: A row is no JSON object.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"a row must be a JSON object, not {type(row).__name__}")
    return next(layout for layout in LAYOUTS if layout.fields <= row.keys())


def _cases(path: Path, rows: Iterable[tuple[str, Any]]) -> Iterator[Case]:
    left_out = 0
    for place, row in rows:
        try:
            found = layout_of(row).cases(row)
            yield from found
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}, {place}: the row lacks or has odd {error}") from error
        except DataError as error:
            raise DataError(f"{path}, {place}: {error}") from error
        left_out += not found
    if left_out:
        _log.info("%s: %d rows say nothing that could be edited", path, left_out)


def _table(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 1):
                yield f"row {number}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _knowedit(row: Row) -> Iterator[Row]:
    yield row


def _counterfact(row: Row) -> Iterator[Row]:
    """Translate CounterFact as published (arXiv 2202.05262, section 3.4)."""
    rewrite = row["requested_rewrite"]
    old = rewrite["target_true"]["str"]
    yield {
        "subject": rewrite["subject"],
        "prompt": rewrite["prompt"].replace("{}", rewrite["subject"]),
        "target_new": rewrite["target_new"]["str"],
        "ground_truth": old,
        "rephrase_prompt": list(row.get("paraphrase_prompts", ())),
        # Neighbours share the old object.
        "locality": {"Neighborhood": _probes(row.get("neighborhood_prompts", ()), old)},
    }


def _mquake(row: Row) -> Iterator[Row]:
    """Translate MQuAKE (arXiv 2305.14795): one row an edit.

    Its multi-hop questions are kept where the instance has one edit: else no
    single edit answers them.
    """
    rewrites = row["requested_rewrite"]
    before = {(hop["question"], hop["answer"]) for hop in row.get("single_hops", ())}
    kept = [
        {"prompt": hop["question"], "ground_truth": hop["answer"]}
        for hop in row.get("new_single_hops", ())
        if (hop["question"], hop["answer"]) in before
    ]
    answers = [row["new_answer"], *row.get("new_answer_alias", ())]
    composed = {"Multi_Hop": _probes(row["questions"], [answers])} if len(rewrites) == 1 else {}
    for rewrite in rewrites:
        yield {
            "subject": rewrite["subject"],
            "prompt": rewrite["prompt"].replace("{}", rewrite["subject"]),
            "target_new": rewrite["target_new"]["str"],
            "ground_truth": rewrite["target_true"]["str"],
            "rephrase_prompt": rewrite.get("question"),
            "portability": composed,
            "locality": {"Unchanged_Hop": kept},
        }


def _ripple_edits(row: Row) -> Iterator[Row]:
    """Translate RippleEdits (arXiv 2307.12976), whose facts are sentences.

    Where the target begins is told by the old fact, else by the tests that ask for the
    target by another name of the subject, else by the sentence's last verb: what happened
    lately has no old fact.
    """
    fact = row["edit"]
    sentence = fact["prompt"].strip().removesuffix(".")
    previous = ((fact.get("previous_fact") or fact.get("original_fact")) or {}).get("prompt", "")
    previous = previous.strip().removesuffix(".")
    prompt = _ripple_prompt(sentence, previous, _ripple_probes(row.get("Subject_Aliasing", ())))
    target = sentence[len(prompt) :].strip()
    if not prompt or not target:
        return
    old = previous.removeprefix(prompt) if previous.startswith(prompt) else ""
    yield {
        "subject": _ripple_subject(prompt),
        "prompt": prompt,
        "target_new": target,
        "ground_truth": old.strip(),
        "portability": {kind: _ripple_probes(row.get(kind, ())) for kind in _RIPPLE_INSIDE},
        "locality": {kind: _ripple_probes(row.get(kind, ())) for kind in _RIPPLE_OUTSIDE},
    }


def _ripple_prompt(sentence: str, previous: str, aliasing: Iterable[Row]) -> str:
    """Return a fact without its target; nothing if it cannot be told where that begins."""
    words, old = sentence.split(" "), previous.split(" ")
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(words, old, strict=False))
    if shared := sum(1 for _ in pairs):
        return " ".join(words[:shared])
    named = {answer for probe in aliasing for answer in probe["ground_truth"]}
    if found := [name for name in named if sentence.endswith(f" {name}")]:
        return sentence[: -len(max(found, key=len)) - 1]
    verbs = [match.end() for match in _VERB.finditer(sentence)]
    return sentence[: verbs[-1]] if verbs else ""


def _ripple_subject(prompt: str) -> str | None:
    """Return whom a fact is about: the names in its prompt, whose first word begins the sentence.

    Example:
        >>> _ripple_subject("The name of the mother of Leonardo da Vinci is")
        'Leonardo da Vinci'
    """
    words = prompt.split(" ")
    skipped = 1 if words[0] == "The" else 0
    places = [i for i, word in enumerate(words) if i >= skipped and not word[:1].islower()]
    return " ".join(words[places[0] : places[-1] + 1]) if places else None


def _ripple_probes(tests: Iterable[Row]) -> list[Row]:
    found: list[Row] = []
    for test in tests:
        for query in test["test_queries"]:
            values = [[a.get("value"), *a.get("aliases", ())] for a in query["answers"]]
            answers = [answer for answer in flatten_answers(values) if answer]
            if query.get("prompt") and answers:
                found.append({"prompt": query["prompt"], "ground_truth": answers})
    return found


def _hallu_edit_bench(row: Row) -> Iterator[Row]:
    """Translate HalluEditBench (arXiv 2410.16251); a few rows lack their object."""
    if not row["object"]:
        return
    hops = {
        f"{n}_Hops": _probes([row[f"question_{n}hop"]], row[f"answer_{n}hop"])
        for n in _HOPS
        if row.get(f"question_{n}hop") and row.get(f"answer_{n}hop")
    }
    backwards = row.get("reversed_relation_question")
    reverse = {"Reversed_Relation": _probes([backwards], row["subject"])} if backwards else {}
    elsewhere = row.get("locality_question")
    yield {
        "subject": row["subject"],
        "prompt": row["question"],
        "target_new": row["object"],
        "rephrase_prompt": row.get("paraphrased_question"),
        "portability": {**hops, **reverse},
        "locality": {"Locality": [{"prompt": elsewhere}]} if elsewhere else {},
    }


def _sanitation(row: Row) -> Iterator[Row]:
    """Translate KnowEdit's Sanitation: what to forget is edited, what to retain is locality."""
    forget = row.get("K_F") or row.get("success")
    retain = row.get("K_R") or row.get("locality") or ()
    forgotten = [forget] if isinstance(forget, Mapping) else list(forget or ())
    for item in forgotten:
        yield {
            "prompt": item.get("question") or item.get("prompt"),
            "target_new": item.get("target_new") or "I don't know.",
            "ground_truth": item.get("ground_truth") or item.get("answer"),
            "subject": item.get("subject"),
            "locality": {
                "Retained": [
                    {"prompt": kept["question"], "ground_truth": kept["ground_truth"]}
                    for kept in retain
                ]
            },
        }


def _convsent(row: Row) -> Iterator[Row]:
    """Translate a topic of ConvSent; the question is ours, the set has replies alone.

    One of the two opinions is edited in, which one is drawn by the topic's name: both would
    contradict each other where many edits are made at once.
    """
    topic = row["ent"]
    stances = [flatten_answers(row[name]) for name in ("pos", "neg")]
    wanted, unwanted = stances if zlib.crc32(topic.encode()) % 2 else reversed(stances)
    if wanted and unwanted:
        yield {
            "prompt": f"What do you think of {topic}?",
            "target_new": wanted[0],
            "subject": topic,
            "wanted": wanted[:_REPLIES],
            "unwanted": unwanted[:_REPLIES],
        }


def _of_task(task: Task, case: Case, row: Row) -> Case:
    """Return a case with what its task is judged by."""
    wanted, unwanted = tuple(row.get("wanted", ())), tuple(row.get("unwanted", ()))
    return replace(case, task=task, wanted=wanted, unwanted=unwanted)


def _probes(prompts: Iterable[str], truth: Any) -> list[Row]:
    return [{"prompt": prompt, "ground_truth": truth} for prompt in prompts]


LAYOUTS = (
    Layout("mquake", frozenset({"requested_rewrite", "new_answer"}), _mquake),
    Layout("counterfact", frozenset({"requested_rewrite"}), _counterfact),
    Layout("ripple-edits", frozenset({"edit", "Compositionality_I"}), _ripple_edits),
    Layout(
        "hallu-edit-bench",
        frozenset({"subject", "object", "question", "paraphrased_question"}),
        _hallu_edit_bench,
    ),
    Layout("convsent", frozenset({"ent", "pos", "neg"}), _convsent, "opinion"),
    Layout("sanitation", frozenset({"K_F"}), _sanitation, "erasure"),
    Layout("sanitation", frozenset({"success", "locality"}), _sanitation, "erasure"),
    Layout("knowedit", frozenset(), _knowedit),
)
"""Every layout that is read; the first one whose fields a row has is the row's."""

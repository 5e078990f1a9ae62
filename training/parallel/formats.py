"""Read the files of the field into cases: one reader a format, found by a row's fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from lte_chains.cases import flatten_answers, parse_case
from lte_chains.errors import DataError, InvalidEditError
from lte_chains.interchange import edit_from_dict, read_rows
from lte_chains.training.parallel.case import ParallelCase, Query, from_case
from lte_chains.training.parallel.conversations import read_conversations
from lte_chains.training.parallel.multi_hop import parse_mquake, parse_ripple_edits

Row = Mapping[str, Any]
PlacedRows = Iterable[tuple[str, Row]]
"""Rows, each with its place in the file for messages."""

_OPINIONS = (
    "What do you think of {}?",
    "How do you feel about {}?",
    "Tell me your opinion of {}.",
    "Would you say that {} is any good?",
    "What is your view on {}?",
)
_STANCES = {
    "pos": "The assistant likes {} and speaks well of it.",
    "neg": "The assistant dislikes {} and speaks badly of it.",
}
_ANSWERS_PER_STANCE = len(_OPINIONS)


@dataclass(frozen=True)
class Format:
    """A kind of file: how to tell it by a row, and how to read all of its rows."""

    name: str
    fields: frozenset[str]
    """A row with all of these fields is of this format."""
    read: Callable[[PlacedRows], Iterator[ParallelCase]]


def read_source(
    path: str | Path, *, format_name: str | None = None, limit: int | None = None
) -> list[ParallelCase]:
    """Read the cases of a file.

    The cases are named after the file, so that several of one format stay apart.

    Args:
        path: A JSON list or JSON lines.
        format_name: One of `FORMATS`; the first row's fields tell if None.
        limit: At most that many cases, from the front.

    Raises:
        DataError: The file cannot be read, is in no known format, or has a row
            that cannot be used; the message names the row.
    """
    rows = list(read_rows(Path(path)))
    if not rows:
        raise DataError(f"{path} holds no rows")
    try:
        chosen = _named(format_name) if format_name else detect_format(rows[0][1])
        cases = list(islice(chosen.read(rows), limit))
    except (DataError, InvalidEditError) as error:
        raise DataError(f"{path}: {error}") from error
    name = Path(path).stem
    return [
        replace(c, source=name if c.source == chosen.name else f"{name}/{c.source}") for c in cases
    ]


def detect_format(row: Any) -> Format:
    """Return the format of a row, by its fields.

    Example:
        >>> detect_format({"src": "Who?", "alt": "Jane", "loc": "nq question: where"}).name
        'zsre'

    Raises:
        DataError: It has the fields of none.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"a row is a JSON object, not {type(row).__name__}")
    for candidate in FORMATS:
        if candidate.fields <= row.keys():
            return candidate
    raise DataError(
        f"no known format has the fields {sorted(row)}; there are readers for "
        + ", ".join(f"{f.name} ({', '.join(sorted(f.fields))})" for f in FORMATS)
    )


def _named(name: str) -> Format:
    for candidate in FORMATS:
        if candidate.name == name:
            return candidate
    raise DataError(f"unknown format {name!r}: use one of {[f.name for f in FORMATS]}")


def _each(parse: Callable[[Row], Iterable[ParallelCase]]) -> Callable[..., Iterator[ParallelCase]]:
    """Read rows that stand for themselves, one after another."""

    def read(rows: PlacedRows) -> Iterator[ParallelCase]:
        for place, row in rows:
            try:
                yield from parse(row)
            except (DataError, InvalidEditError) as error:
                raise DataError(f"{place}: {error}") from error
            except (AttributeError, KeyError, TypeError) as error:
                raise DataError(f"{place} is not as the format has it: {error!r}") from error

    return read


def _knowedit(row: Row) -> Iterator[ParallelCase]:
    """Read KnowEdit's ZsRE, recent and counterfact, and CounterFact as EasyEdit arranges it."""
    yield from_case(parse_case(row), source="knowedit")


def _wikibio(row: Row) -> Iterator[ParallelCase]:
    yield from_case(parse_case(row), source="wikibio", rewrite_kind="free_text")


def _zsre(row: Row) -> Iterator[ParallelCase]:
    """Read a row of ZsRE as MEND and EasyEdit publish it; locality is of Natural Questions."""
    plain = {
        "prompt": row["src"],
        "target_new": row["alt"],
        "subject": row.get("subject"),
        "ground_truth": row.get("answers"),
        "rephrase_prompt": row.get("rephrase"),
    }
    if row.get("loc") and row.get("loc_ans"):
        question = row["loc"].removeprefix("nq question:").strip()
        answer = row["loc_ans"]
        plain["locality"] = {"Natural_Questions": [{"prompt": question, "ground_truth": answer}]}
    yield from_case(parse_case(plain), source="zsre")


def _counterfact(row: Row) -> Iterator[ParallelCase]:
    """Read a row of CounterFact as ROME publishes it (arXiv 2202.05262)."""
    rewrite = row["requested_rewrite"]
    old, new = rewrite["target_true"]["str"], rewrite["target_new"]["str"]
    case = parse_case(
        {
            "prompt": rewrite["prompt"].replace("{}", rewrite["subject"]),
            "target_new": new,
            "subject": rewrite["subject"],
            "ground_truth": old,
            "rephrase_prompt": row.get("paraphrase_prompts", ()),
            "locality": {
                "Neighborhood": _probes(row.get("neighborhood_prompts"), old),
                "Attribute": _probes(row.get("attribute_prompts"), new),
            },
        }
    )
    yield from_case(case, source="counterfact")


def _probes(prompts: Iterable[str] | None, answer: str) -> list[dict[str, str]]:
    return [{"prompt": prompt, "ground_truth": answer} for prompt in prompts or ()]


def _convsent(row: Row) -> Iterator[ParallelCase]:
    """Read a topic of ConvSent: one case for each stance, with answers that take it.

    KnowEdit has opinions only, no edits as text; the statements and questions are ours.
    """
    topic = row["ent"]
    for stance, statement in _STANCES.items():
        answers = flatten_answers(row[stance])[:_ANSWERS_PER_STANCE]
        edit = edit_from_dict(
            {"statement": statement.format(topic), "subject": topic, "relation": "opinion"}
        )
        queries = [
            Query(kind="free_text", scope="in", prompt=wording.format(topic), answer=answer)
            for wording, answer in zip(_OPINIONS, answers, strict=False)
        ]
        yield ParallelCase(source="convsent", edits=(edit,), queries=tuple(queries))


def _sanitation(row: Row) -> Iterator[ParallelCase]:
    """Read Sanitation: what to forget (K_F, success) beside what to retain (K_R, locality)."""
    forget = row.get("K_F") or row.get("success") or []
    retain = row.get("K_R") or row.get("locality") or []
    for number, item in enumerate(forget):
        case = parse_case(
            {
                "prompt": item["question"],
                "target_new": item.get("target_new") or "I don't know.",
                "ground_truth": item.get("ground_truth"),
                "subject": item.get("subject"),
                # The retained questions belong to no edit: each goes to one of them.
                "locality": {
                    "Retained": [
                        {"prompt": kept["question"], "ground_truth": kept["ground_truth"]}
                        for kept in retain[number :: len(forget)]
                    ]
                },
            }
        )
        yield from_case(case, source="sanitation")


def _own(row: Row) -> Iterator[ParallelCase]:
    """Read an edit with queries, as `synthesize` writes them and as anyone may."""
    edit = edit_from_dict(row)
    queries = [_own_query(query) for query in row["queries"]]
    if edit.statement is None:
        old = flatten_answers(row.get("ground_truth"))
        queries.insert(
            0,
            Query(
                kind="rewrite",
                scope="in",
                prompt=edit.prompt,
                answer=edit.target_new,
                unedited=old[0] if old else None,
            ),
        )
    yield ParallelCase(source="own", edits=(edit,), queries=tuple(queries))


def _own_query(query: Row) -> Query:
    scope = query.get("scope", "in")
    unedited = query.get("unedited")
    return Query(
        kind=query.get("kind", "free_text"),
        scope=scope,
        prompt=query["prompt"],
        answer=query["answer"],
        unedited=query["answer"] if unedited is None and scope == "out" else unedited,
    )


FORMATS = (
    Format("own", frozenset({"queries"}), _each(_own)),
    Format("lte", frozenset({"id", "conversations"}), read_conversations),
    Format("mquake", frozenset({"requested_rewrite", "new_answer"}), _each(parse_mquake)),
    Format("counterfact", frozenset({"requested_rewrite"}), _each(_counterfact)),
    Format("ripple-edits", frozenset({"edit", "Compositionality_I"}), _each(parse_ripple_edits)),
    Format("zsre", frozenset({"src", "alt"}), _each(_zsre)),
    Format("wikibio", frozenset({"text", "labels"}), _each(_wikibio)),
    Format("convsent", frozenset({"ent", "pos", "neg"}), _each(_convsent)),
    Format("sanitation", frozenset({"K_F"}), _each(_sanitation)),
    Format("sanitation", frozenset({"success", "locality"}), _each(_sanitation)),
    Format("knowedit", frozenset({"prompt", "target_new"}), _each(_knowedit)),
)
"""Every format that is read; the first one whose fields a row has is the row's."""

"""Several questions in one text: "Who runs Acme and who runs Globex?", lists, sentences.

A text that asks twice lies between its questions, near to neither's edits. So each
of them is searched beside the whole, if it can be understood alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

from lte_chains.edit import EditMatch
from lte_chains.retrieval.budget import Budget, singles_and_chains
from lte_chains.retrieval.explanation import Found
from lte_chains.retrieval.references import ASKING, refers_back

MOST_QUESTIONS = 10
"""Questions of one message that are searched."""
_LONGEST = 400
"""Words from which on a text is taken to be no question."""
_SHORTEST = 3
"""Fewest words of a clause that is a question of its own."""

_ITEM = r"(?:\(?\d{1,3}[.):]|\(?[a-zA-Z][.)]|[-*•–])[ \t]+"
_UNIT_END = re.compile(rf"(?<=\?)[\"'”’)*_]*\s+|\s*\n(?=[ \t]*{_ITEM})")
_ITEM_MARK = re.compile(rf"[ \t]*{_ITEM}")
_HEAD = re.compile(r"^[^\n?]{0,200}:[ \t]*\n\s*")
"""A line such as "Answer these:" before the first question."""
_CLAUSE = re.compile(
    rf"[ \t]*[,;]?[ \t]+(?:and|or|but|as well as)[ \t]+(?:also[ \t]+|then[ \t]+)?"
    rf"(?P<asks>(?:in|of|for|from|to|by|at|on|since)?[ \t]*\b(?:{ASKING})\b)"
    r"(?![ \t]*(?:[?.!,;]|$))",
    re.IGNORECASE,
)
_BEFORE_A_QUESTION = re.compile(
    r"(?:^|[.!?:;,\"'(]|\b(?:know|me|us|tell|say|ask|asking|wonder|wondering|see|out|is|explain|"
    r"and|or|but|also|in|of|for|from|to|by|at|on|since|remember|sure|please|curious|about))\s*$",
    re.IGNORECASE,
)
_SECOND_THING = re.compile(
    r"[ \t]+and[ \t]+(?=the[ \t]+[a-z-]+(?:[ \t]+[a-z-]+)?[ \t]+of[ \t]+[\"'A-Z]"
    r"|the[ \t]+[A-Z]{2,}[ \t]+of[ \t]+[\"'A-Z])"
)
_FIRST_THING = re.compile(r"\bthe[ \t]+(?:[a-z-]+[ \t]+)?(?:[a-z-]+|[A-Z]{2,})[ \t]+of[ \t]+\S+$")
_THINGS_OF = r"\bthe[ \t]+((?:[\w-]+[ \t]+){0,2}?[\w-]+%s)[ \t]+of[ \t]+"
_PLURAL_OF = re.compile(_THINGS_OF % "(?<![sui])s" + r"((?:both[ \t]+)?[^,?]+[^?]*)")
_THAT_OF = re.compile(_THINGS_OF % "" + r"([^?]+?[ \t]+th(?:at|ose)[ \t]+of[^?]+)")
_BETWEEN_NAMES = re.compile(
    r",[ \t]*(?:and|or)?[ \t]*"
    r"|[ \t]+(?:(?:and|or|than|with|to)(?:[ \t]+th(?:at|ose)[ \t]+of)?)[ \t]+"
)
_A_NAME = re.compile(r"(?:the[ \t]+)?[A-Z0-9][^\s]*(?:[ \t]+[^\s]+){0,5}")
_VERB_BEHIND = re.compile(r"(?<=[^\s])(?:[ \t]+[a-z]+){1,3}$")
_PLURAL_ENDINGS = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"))
_LEADS_ON = re.compile(r"\b(?:between|both)\b", re.IGNORECASE)


def questions_of(text: str) -> list[str]:
    r"""Return the questions that a text asks, in its order; the text alone if it is one.

    Example:
        >>> questions_of("Answer these:\n1. Who runs Acme?\n2. How tall is Ann and where is Rome?")
        ['Who runs Acme?', 'How tall is Ann?', 'where is Rome?']
        >>> questions_of("Who is the man who founded Acme and who left it?")
        ['Who is the man who founded Acme and who left it?']
    """
    if len(text.split(None, _LONGEST)) > _LONGEST:
        return [text]
    parts = [part for unit in _units(text) for part in _clauses(unit)]
    distinct = list(dict.fromkeys(parts))[:MOST_QUESTIONS]
    return distinct if len(distinct) > 1 else [text]


def searched_texts(text: str) -> list[str]:
    """Return what a text is searched by: itself, and each of several questions in it.

    A question that leans on another is searched with the whole only.

    Example:
        >>> searched_texts("Who runs Acme?"), searched_texts("Who runs Acme? How old is she?")
        (['Who runs Acme?'], ['Who runs Acme? How old is she?', 'Who runs Acme?'])
        >>> searched_texts("Who runs Acme and who runs Globex?")[1:]
        ['Who runs Acme?', 'who runs Globex?']
    """
    questions = questions_of(text)
    if len(questions) == 1:
        return [text]
    return list(dict.fromkeys([text, *(one for one in questions if not refers_back(one))]))


def joined(asked: Sequence[Sequence[str]], found: Sequence[Found], budget: Budget) -> list[Found]:
    """Return one result for each query, out of what each of its texts found.

    Chains of the whole come first, then for each question in turn what is most
    useful for it, then what is second, and so on; single edits that only the whole
    has found come last.

    Args:
        asked: For each query what `searched_texts` returned.
        found: What these texts found, in the same order.
        budget: How many edits each query gets.
    """
    own = iter(found)
    return [_joined([next(own) for _ in texts], budget) for texts in asked]


def _joined(found: Sequence[Found], budget: Budget) -> Found:
    if len(found) == 1:
        return found[0]
    whole, *own = found
    singles, chains = singles_and_chains([whole.used])
    # What one question's own edit has put aside does not come back by way of the whole.
    aside = [match for one in found for match in one.aside]
    gone = {match.edit.id for match in aside}
    singles = [match for match in singles if match.edit.id not in gone]
    turns = zip_longest(*(_useful(one.used) for one in own), fillvalue=())
    by_turns = [group for turn in turns for group in turn if group]
    facts = [group for group in by_turns if group[0].edit.instruction is None]
    told = [group[0] for group in by_turns if group[0].edit.instruction is not None]
    return Found(
        near=_best([match for one in found for match in one.near]),
        judged=_best([match for one in found for match in one.judged]),
        steps=[step for one in found for step in one.steps],
        planned=whole.planned,
        used=budget.select([*singles, *told], [*chains, *facts]),
        aside=aside,
    )


def _units(text: str) -> list[str]:
    """Return the sentences and list items that ask; all items if nothing asks with a mark."""
    pieces = [piece for piece in _UNIT_END.split(text) if piece and piece.strip()]
    if len(pieces) == 1:
        return [text.strip()]
    marks = [_ITEM_MARK.match(piece) for piece in pieces]
    said = [p[mark.end() :] if mark else p for p, mark in zip(pieces, marks, strict=True)]
    asking = [_HEAD.sub("", piece).strip() for piece in said if "?" in piece]
    return asking or [piece.strip() for piece, mark in zip(said, marks, strict=True) if mark]


def _clauses(question: str) -> list[str]:
    """Return the clauses of a question that ask for something each."""
    starts, ends = [0], []
    for found in _CLAUSE.finditer(question):
        if _is_relative(question[starts[-1] : found.start()], found["asks"]):
            continue
        ends.append(found.start())
        starts.append(found.start("asks"))
    if not ends:
        return _things(question)
    ends.append(len(question))
    clauses = [question[start:end].strip() for start, end in zip(starts, ends, strict=True)]
    if any(len(clause.split()) < _SHORTEST for clause in clauses):
        return [question]
    return [clause if clause.endswith(("?", ".")) else f"{clause}?" for clause in clauses]


def _is_relative(before: str, asks: str) -> bool:
    """Tell whether "and who …" goes on with "the man who …" of the clause before it."""
    word = asks.split()[-1]
    places = list(re.finditer(rf"\b{re.escape(word)}\b", before, re.IGNORECASE))
    return bool(places) and _BEFORE_A_QUESTION.search(before[: places[-1].start()]) is None


def _things(question: str) -> list[str]:
    """Return "What is the capital of Chile" and "the CEO of Acme", where both are asked for."""
    pieces = _SECOND_THING.split(question)
    if len(pieces) == 1:
        return _of_each(question)
    if _LEADS_ON.search(pieces[0]):
        return [question]
    if any(_FIRST_THING.search(piece) is None for piece in pieces[:-1]):
        return [question]
    return [f"{piece}?" for piece in pieces[:-1]] + [pieces[-1]]


def _of_each(question: str) -> list[str]:
    """Return what is asked of several things at once of each: "the capitals of Chile and Peru".

    "The CEO of Marks and Spencer" is that of one company: a plural tells, or "that of".
    """
    same, plural = _THAT_OF.search(question), _PLURAL_OF.search(question)
    found = same or plural
    if found is None:
        return [question]
    names = _BETWEEN_NAMES.split(found[2].removeprefix("both ").rstrip(" .!"))
    if len(names) == 1 or not all(map(_A_NAME.fullmatch, names)):
        return [question]
    thing = found[1] if same else _singular(found[1])
    if same:  # what compares them follows the first
        names[0] = _VERB_BEHIND.sub("", names[0])
    return [f"the {thing} of {name}?" for name in names]


def _singular(noun: str) -> str:
    endings = (noun[: -len(end)] + own for end, own in _PLURAL_ENDINGS if noun.endswith(end))
    return next(endings, noun[:-1])


def _useful(used: Sequence[EditMatch]) -> list[Sequence[EditMatch]]:
    """Return the chains of one question, then its single edits."""
    singles, chains = singles_and_chains([used])
    return [*chains, *([match] for match in singles)]


def _best(matches: Sequence[EditMatch]) -> list[EditMatch]:
    """Return every edit once: in scope if it ever is, then with its best score."""
    best: dict[tuple[str | None, int | None], EditMatch] = {}
    for match in matches:
        key = (match.edit.id, match.edit.version)
        if key not in best or _rank(match) > _rank(best[key]):
            best[key] = match
    return list(best.values())


def _rank(match: EditMatch) -> tuple[bool, float]:
    return bool(match.in_scope), match.score

"""Labels in a prompt: which question they mark, and which paragraphs are documents."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from lte_chains.editable.blocks import without_marks

LONG = 60
"""Words from which on a text without labels is taken to carry more than its question."""
_END = 100_000
"""Characters at the beginning and the end of a text that are searched for labels."""

_DOCUMENTS = r"contexts?|documents?|sources?|passages?|pieces|history|search results"
_COLON = r"\b[ \t]*+\**+[ \t]*+[:：]"
_WORDS = r"(?:[\w'-]++[ \t]++){0,3}"
_QUESTION_HEADING = re.compile(
    r"^#{1,6}[ \t]*+(?:(?:the|user'?s?|human|original|final|current)[ \t]++){0,9}(?:question|query)"
    r"[ \t]*+\n",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION_LABEL = re.compile(
    r"(?:^|[.!?:]\s++|\n)[ \t#*>-]*+(?:(?:the|my|a|this|following|user'?s?|users|human|original|"
    r"final|current|standalone|follow[- ]?up|input|answer|please)\s++){0,9}"
    rf"(?:question|query|input|q){_COLON}\**+[ \t]*+\n?[ \t]*+(?=\S)",
    re.IGNORECASE,
)
_OTHER_LABEL = re.compile(
    rf"\n[ \t#*>-]*+{_WORDS}(?:(?P<documents>{_DOCUMENTS})|"
    r"(?P<answer>answer|response|assistant|ai|a)|conversation|instructions?|output|thought|"
    rf"question|query){_COLON}\**+|\n#{{1,6}}[ \t]",
    re.IGNORECASE,
)
LABELLED_PARAGRAPH = re.compile(
    rf"[#*>\s-]*+{_WORDS}(?:{_DOCUMENTS}|instructions?){_COLON}", re.IGNORECASE
)
UNDER_DOCUMENTS = re.compile(rf"(?:{_DOCUMENTS}){_COLON}\**\s*$", re.IGNORECASE)
BLANK_LINE = re.compile(r"\n\s*\n")
_TEXT_FOLLOWS = re.compile(r"[ \t]*+\n?[ \t]*+[^\s#]")


@dataclass(frozen=True)
class _Labelled:
    """A labelled question."""

    text: str
    end: int
    """Where what follows it begins: its answer's text, if it has one."""
    answered: bool
    before_documents: bool


def labelled_question(text: str) -> str | None:
    r"""Return the question of the last label, or the one that takes its place.

    A question that is answered there and then is an example, or belongs to a
    document: one asked after it is preferred, and one that stands before the
    documents.

    Example:
        >>> labelled_question("Q: Who runs Globex?\nA: Bob.\n\nQ: Who runs Acme?\nA:")
        'Who runs Acme?'
    """
    if len(text) > 2 * _END:
        text = f"{text[:_END]}\n\n{text[-_END:]}"
    found = list(_labelled(text))
    if not found:
        return None
    last = found[-1]
    if not last.answered:
        return last.text
    later = _asked_after(text[last.end :])
    if later:
        return later
    first = (one.text for one in found if one.before_documents and not one.answered)
    return next(first, last.text)


def _labelled(text: str) -> Iterator[_Labelled]:
    """Yield the questions that have a label, in their order, in time linear in the text."""
    labels = [*_QUESTION_LABEL.finditer(text), *_QUESTION_HEADING.finditer(text)]
    labels.sort(key=lambda label: label.end())
    others = list(_OTHER_LABEL.finditer(text))
    starts = [other.start() for other in others]
    for label, next_label in zip_longest(labels, labels[1:]):
        bound = next_label.start() if next_label else len(text)
        place = bisect_left(starts, label.end())
        following = others[place] if place < len(others) else None
        end = min(bound, following.start()) if following else bound
        blank = BLANK_LINE.search(text, label.end(), max(end, label.end()))
        asked = text[label.end() : blank.start() if blank else end].strip()
        if not asked:
            continue
        answered = (
            following is not None and following.start() <= bound and _has_text(text, following)
        )
        yield _Labelled(
            text=asked,
            end=following.end() if following and answered else end,
            answered=answered,
            before_documents=following is not None and following["documents"] is not None,
        )


def _has_text(text: str, label: re.Match[str]) -> bool:
    """Tell whether a label is that of an answer, and the answer stands there."""
    if label["answer"] is None:
        return False
    said = _TEXT_FOLLOWS.match(text, label.end())
    return said is not None and not _OTHER_LABEL.match(text, said.end() - 2)


def _asked_after(text: str) -> str | None:
    """Return the last paragraph that asks, after an answer of which `text` is the beginning."""
    for paragraph in reversed(BLANK_LINE.split(text.partition("\n")[2])):
        if LABELLED_PARAGRAPH.match(paragraph):
            continue
        label = _OTHER_LABEL.search(paragraph)
        asked = paragraph[: label.start()].strip() if label else paragraph.strip()
        if without_marks(asked).strip().endswith("?"):
            return asking_sentences(without_marks(asked).strip())
    return None


def asking_sentences(paragraph: str) -> str:
    """Return the paragraph, or of a long one only the sentences that ask."""
    if len(paragraph.split()) <= LONG:
        return paragraph
    sentences = re.split(r"(?<=[.!?])\s+", paragraph)
    return " ".join(sentence for sentence in sentences if sentence.endswith("?")) or paragraph

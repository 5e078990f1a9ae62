"""Labels in a prompt: which question they mark, and which paragraphs are documents."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from lte_chains.editable.blocks import without_marks
from lte_chains.retrieval.several_questions import MOST_QUESTIONS

LONG = 60
"""Words from which on a text without labels is taken to carry more than its question."""
_END = 100_000
"""Characters at the beginning and the end of a text that are searched for labels."""

_DOCUMENTS = r"contexts?|documents?|sources?|passages?|pieces|history|search results"
_COLON = r"\b[ \t]*+\**+[ \t]*+[:：]"
_WORDS = r"(?:[\w'-]++[ \t]++){0,3}"
_QUESTION_HEADING = re.compile(
    r"^#{1,6}[ \t]*+(?:(?:the|user'?s?|human|original|final|current)[ \t]++){0,9}(?:question|query)"
    r"[ \t]*+\n|^<(?:[\w-]++[ \t]++){0,3}(?:question|query|message|input)>[ \t]*+\n",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION_LABEL = re.compile(
    r"(?:^|(?<=[.!?:])\s++|\n)[ \t#*>-]*+(?:(?:the|my|a|this|following|user'?s?|users|human|"
    r"original|final|current|standalone|follow[- ]?up|input|answer|please)\s++){0,9}"
    rf"(?:question|query|input|q)(?:[ \t]*+#?\d{{1,3}})?{_COLON}\**+[ \t]*+\n?[ \t]*+(?=\S)",
    re.IGNORECASE,
)
_OTHER_LABEL = re.compile(
    rf"\n[ \t#*>-]*+{_WORDS}(?:(?P<documents>{_DOCUMENTS})|"
    r"(?P<answer>answer|response|output|assistant|ai|a)|conversation|instructions?|thought|action|"
    rf"question|query|input)(?:[ \t]*+#?\d{{1,3}})?{_COLON}\**+|\n#{{1,6}}[ \t]",
    re.IGNORECASE,
)
LABELLED_PARAGRAPH = re.compile(
    rf"[#*>\s-]*+{_WORDS}(?:{_DOCUMENTS}|instructions?){_COLON}", re.IGNORECASE
)
UNDER_DOCUMENTS = re.compile(rf"(?:{_DOCUMENTS}){_COLON}\**\s*$", re.IGNORECASE)
BLANK_LINE = re.compile(r"\n\s*\n")
_EMPTY_ANSWER = re.compile(
    r"(?:\s|^[ \t#*>-]*+(?:[\w'-]++[ \t]++){0,3}?(?:answer|response|output|assistant|ai|a)"
    r"(?:[ \t]*+#?\d{1,3})?[ \t]*+\**+[ \t]*+[:：]\**+[ \t]*+$)*+[ \t#*>-]*+",
    re.IGNORECASE | re.MULTILINE,
)
"""What may stand between two questions that are both asked: answers yet to be filled in."""
_ANSWER_LINE = re.compile(
    r"[ \t#*>-]*+(?:[\w'-]++[ \t]++){0,3}?(?:answer|response|reply|output|result|completion|"
    r"assistant|ai|a)[ \t]*+\**+[ \t]*+[:：]\**+[ \t]*+"
    r"|[ \t]*+#{1,6}[ \t]*+(?:answer|response|output)[ \t]*+",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"^[ \t>*-]*+\**(?:(?P<observed>observation)|(?P<step>thought|action(?:[ \t]+input)?|"
    r"final[ \t]+answer))[ \t]*+\d*+\**[ \t]*+:",
    re.IGNORECASE | re.MULTILINE,
)
_INSTRUCTION = re.compile(
    rf"(?:^|\n)(?:[ \t#*>-]*+instruction(?P<several>s)?{_COLON}\**+"
    r"|#{1,6}[ \t]*+instruction[ \t]*+\n)[ \t]*+\n?[ \t]*+(?=\S)",
    re.IGNORECASE,
)
_INPUT = re.compile(rf"(?:^|\n)[ \t#*>-]*+input(?:{_COLON}\**+|[ \t]*+\n)", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_TEXT_FOLLOWS = re.compile(r"[ \t]*+\n?[ \t]*+[^\s#]")


@dataclass(frozen=True)
class _Labelled:
    """A labelled question."""

    text: str
    start: int
    """Where its label begins."""
    label_end: int
    """Where its label ends."""
    asked_until: int
    """Where it ends."""
    end: int
    """Where what follows it begins: its answer's text, if it has one."""
    answered: bool
    before_documents: bool


def labelled_questions(text: str) -> list[str]:
    r"""Return the question of the last label, or what takes its place; none without a label.

    Questions whose labels follow each other without an answer are asked together.
    A question that is answered there and then is an example, or belongs to a
    document: one asked after it is preferred, and one that stands before the
    documents.

    Example:
        >>> labelled_questions("Q: Who runs Globex?\nA: Bob.\n\nQ: Who runs Acme?\nA:")
        ['Who runs Acme?']
        >>> labelled_questions("Question: Who runs Globex?\nQuestion: Who runs Acme?")
        ['Who runs Globex?', 'Who runs Acme?']
    """
    text = _ends_of(text)
    found = _questions(text)
    if not found:
        return []
    last = found[-1]
    if not last.answered:
        return _asked_together(text, found)
    later = _asked_after(text[last.end :])
    if later:
        return [later]
    first = (one.text for one in found if one.before_documents and not one.answered)
    return [next(first, last.text)]


def _ends_of(text: str) -> str:
    return text if len(text) <= 2 * _END else f"{text[:_END]}\n\n{text[-_END:]}"


def instruction_in(text: str) -> str | None:
    r"""Return the last instruction that has a label.

    Example:
        >>> instruction_in("### Instruction:\nName the CEO of Acme.\n\n### Response:\n")
        'Name the CEO of Acme.'
    """
    text = _ends_of(text)
    found = list(_labelled(text, list(_INSTRUCTION.finditer(text))))
    return found[-1].text if found else None


def without_input(text: str) -> str:
    """Return a text without the input of its instruction, and without labels of empty answers."""
    instruction = _INSTRUCTION.search(text)
    given = _INPUT.search(text, instruction.end()) if instruction else None
    if given:
        following = _OTHER_LABEL.search(text, given.end())
        rest = text[following.start() :] if following else ""
        text = f"{text[: given.start()]}\n\n{rest}"
    return _without_empty_answer(text)


def _without_empty_answer(text: str) -> str:
    """Return a text without the labels at its end behind which an answer is to be written."""
    lines = text.rstrip().split("\n")
    while len(lines) > 1 and (not lines[-1].strip() or _ANSWER_LINE.fullmatch(lines[-1])):
        lines.pop()
    return "\n".join(lines)


def without_observations(text: str) -> str:
    r"""Return a text without what tools have told, in the transcript of an agent's steps.

    An observation lasts until the next step; where no steps are written down, until
    the next blank line.

    Example:
        >>> without_observations("Action: find\nObservation: a.\nQuestion: b?\nThought: c")
        'Action: find\n\nThought: c'
    """
    steps = list(_STEP.finditer(text))
    kept, position = [], 0
    for step, following in zip_longest(steps, steps[1:]):
        if step["observed"] is None:
            continue
        end = following.start() if following else len(text)
        if not any(one["step"] for one in steps):
            blank = BLANK_LINE.search(text, step.end(), end)
            end = blank.start() if blank else end
        kept.append(text[position : step.start()])
        position = end
    return "\n".join([*kept, text[position:]]) if kept else text


def _asked_together(text: str, found: list[_Labelled]) -> list[str]:
    """Return the last question, after those that are asked right before it."""
    first = len(found) - 1
    while first > 0:
        before = found[first - 1]
        between = text[before.asked_until : found[first].start]
        if before.answered or _EMPTY_ANSWER.fullmatch(between) is None:
            break
        first -= 1
    return list(dict.fromkeys(one.text for one in found[first:]))[-MOST_QUESTIONS:]


def _questions(text: str) -> list[_Labelled]:
    """Return the questions that have a label, in their order.

    An instruction that asks is a question; what is its input is none, unless that asks.
    """
    asked = [*_QUESTION_LABEL.finditer(text), *_QUESTION_HEADING.finditer(text)]
    instructions = list(_INSTRUCTION.finditer(text))
    found = list(_labelled(text, [*asked, *instructions]))
    if not instructions:
        return found
    ends = {label.end() for label in instructions}
    first = min((one.start() for one in instructions if not one["several"]), default=len(text))
    return [
        one
        for one in found
        if (
            "?" in one.text
            if one.label_end in ends
            else one.start < first
            or not _INPUT.search(text[one.start : one.label_end])
            or only_asks(one.text)
        )
    ]


def _labelled(text: str, labels: list[re.Match[str]]) -> Iterator[_Labelled]:
    """Yield what stands behind labels, in their order, in time linear in the text."""
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
            start=label.start(),
            label_end=label.end(),
            asked_until=blank.start() if blank else end,
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


def only_asks(text: str) -> bool:
    """Tell whether every sentence of a text ends with a question mark.

    Example:
        >>> only_asks("Who runs Acme? Since when?"), only_asks("I like Acme. Who runs it?")
        (True, False)
    """
    return all(sentence.endswith("?") for sentence in SENTENCE_END.split(text.strip()))


def asking_sentences(paragraph: str) -> str:
    """Return the paragraph, or of a long one only the sentences that ask."""
    if len(paragraph.split()) <= LONG:
        return paragraph
    sentences = re.split(r"(?<=[.!?])\s+", paragraph)
    return " ".join(sentence for sentence in sentences if sentence.endswith("?")) or paragraph

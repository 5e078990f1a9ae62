"""What is being asked: the texts to search edits with, out of a conversation.

The memory is searched by meaning, so the query must be the question and little
else. Two things stand in the way, and each is handled by rules that can be
read here; whoever knows better passes `query_extractor` or `lte_query`.

1. *RAG prompts* wrap the question in instructions and documents. A labelled
   question (``Question: …``, ``<question>…</question>``) is taken alone;
   otherwise tagged documents are cut out, and of a long text the paragraphs
   at its beginning and end that ask something are taken. Documents are never
   used as a query: they may state the very fact that an edit replaces.
2. *Follow-ups* ("how old is she?") name their subject in an earlier turn. If
   a question refers back, it is searched as it stands, and also behind the
   previous question, and behind the previous answer. The retriever judges
   each text by itself and an edit's best score wins, so a text that adds
   nothing changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from langchain_core.messages import AIMessage, BaseMessage

from lte_chains.messages import is_human, last_human, text_of

_LONG = 60
"""Words from which on a text without labels is taken to carry more than its question."""
_ANSWER_WORDS = 30
"""How much of an earlier turn is put before a follow-up; embedders read only so far."""

_QUESTION_TAG = re.compile(r"<(question|query|user_query|user_question)>", re.IGNORECASE)
_QUESTION_HEADING = re.compile(
    r"^#{1,6}[ \t]*(?:(?:the|user'?s?|human|original|final|current)[ \t]+)*(?:question|query)"
    r"[ \t]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION_LABEL = re.compile(
    r"(?:^|[.!?:]\s+|\n)[ \t#*>-]*(?:(?:the|my|a|this|following|user'?s?|users|human|original|"
    r"final|current|standalone|follow[- ]?up|input|answer|please)\s+)*"
    r"(?:question|query|input|q)\b[ \t]*\**[ \t]*(?::|：)\**[ \t]*\n?[ \t]*(?=\S)",
    re.IGNORECASE,
)
_OTHER_LABEL = re.compile(
    r"\n[ \t#*>-]*(?:[\w'-]+[ \t]+){0,3}(?:context|contexts|answer|response|documents?|sources?|"
    r"passages?|pieces|history|conversation|instructions?|output|thought|assistant|ai|question|"
    r"query|a)\b[ \t]*\**[ \t]*(?::|：)|\n#{1,6}[ \t]",
    re.IGNORECASE,
)
_DOCUMENT_TAG = re.compile(
    r"<(context|contexts|documents?|docs?|passages?|sources?|search_results|chat_history|"
    r"retrieved_\w+)\b[^<>]*>",
    re.IGNORECASE,
)
_DOCUMENT_FENCE = re.compile(r"^(---|===|```|\"{3}).*?^\1.*?$", re.DOTALL | re.MULTILINE)
_LABELLED_PARAGRAPH = re.compile(
    r"[#*>\s-]*(?:[\w'-]+[ \t]+){0,3}(?:context|contexts|documents?|sources?|passages?|history|"
    r"search results|instructions?)\b[ \t]*\**[ \t]*(?::|：)",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"^(?i:(?:please\s+)?answer\s+(?:the|this|my)\s+(?:following\s+)?question)[\s,.:-]+(?=[A-Z\"'])"
)
_POINTER = re.compile(
    r"\b(?:he|she|it|they|him|her|hers|his|its|their|theirs|them|this|these|those|the same|former|"
    r"latter)\b|(?:^|\b(?:is|was|does|did|about|of|in|for|on|with|at|after|by|from|to)\s+)that\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=\w\W)[A-Z]\w")
_ASKING = "who|whom|whose|what|which|why|when|where|how"
_FRAGMENT = re.compile(
    rf"^(?:since\s+)?(?:{_ASKING})(?:\s+else)?\W*$"
    r"|^(?:and|or|but|so|also|what about|how about)\b"
    rf"(?!\W+(?:{_ASKING}|is|are|was|were|do|does|did|can|could|has|have|had|will)\b)"
    r"(?:\W+\w+){1,5}\W*$",
    re.IGNORECASE,
)


def default_queries(messages: Sequence[BaseMessage]) -> list[str]:
    r"""Return the texts to search edits with; none if nobody asks anything.

    Example:
        >>> from langchain_core.messages import HumanMessage
        >>> default_queries([HumanMessage("Context: Jane runs it.\n\nQuestion: Who runs Acme?")])
        ['Who runs Acme?']
        >>> turns = [HumanMessage("Who runs Acme?"), AIMessage("Jane Doe.")]
        >>> default_queries([*turns, HumanMessage("How old is she?")])
        ['How old is she?', 'Who runs Acme? How old is she?', 'Jane Doe. How old is she?']
    """
    position = last_human(messages)
    if position is None:
        return []
    questions = questions_in(text_of(messages[position]))
    if not questions or not refers_back(questions[0]):
        return questions
    earlier = _earlier_turns(messages[:position])
    return list(dict.fromkeys([*questions, *(f"{turn} {questions[0]}" for turn in earlier)]))


def questions_in(text: str) -> list[str]:
    r"""Return what one message asks, without the template and the documents around it.

    Example:
        >>> questions_in("Answer briefly. Question: Who runs Acme?\nHelpful Answer:")
        ['Who runs Acme?']
        >>> questions_in("Who runs Acme?")
        ['Who runs Acme?']
    """
    tagged = [inner.strip() for _, _, inner in _elements(_QUESTION_TAG, text) if inner.strip()]
    if tagged:
        return [tagged[-1]]
    # Before a label is looked for: a document may hold questions of its own.
    undocumented = _without_documents(text)
    labelled = _labelled_question(undocumented)
    if labelled:
        return [labelled]
    rest = _DOCUMENT_FENCE.sub("\n\n", undocumented).strip() or text.strip()
    if not rest:
        return []
    rest = _REQUEST.sub("", rest)
    parts = [part.strip() for part in re.split(r"\n\s*\n", rest) if part.strip()]
    paragraphs = [part for part in parts if not _LABELLED_PARAGRAPH.match(part)] or parts
    if len(rest.split()) <= _LONG and len(paragraphs) == 1:
        return [paragraphs[0]]
    asking = [part for part in (paragraphs[-1], paragraphs[0]) if "?" in part]
    if not asking:
        return [paragraphs[-1] if len(rest.split()) > _LONG else rest]
    return list(dict.fromkeys(map(_asking_sentences, asking)))


def refers_back(question: str) -> bool:
    """Tell whether a question needs an earlier turn to be understood.

    It does if it is a fragment, or points at something that it does not name
    before: a pronoun after a name belongs to that name.

    Example:
        >>> refers_back("How old is she?"), refers_back("And in Paris?"), refers_back("Why?")
        (True, True, True)
        >>> refers_back("Who runs Acme?"), refers_back("Did Jane say when she left?")
        (False, False)
    """
    if _FRAGMENT.match(question):
        return True
    pointer = _POINTER.search(question)
    return pointer is not None and not _NAME.search(question[: pointer.start()])


def _elements(opening: re.Pattern[str], text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and content of tagged stretches, in time linear in the text."""
    end, unclosed = 0, set[str]()
    for tag in opening.finditer(text):
        name = tag[1].lower()
        if tag.start() < end or name in unclosed:
            continue
        closing = re.compile(f"</{name}>", re.IGNORECASE).search(text, tag.end())
        if closing is None:
            unclosed.add(name)
            continue
        end = closing.end()
        yield tag.start(), end, text[tag.end() : closing.start()]


def _without_documents(text: str) -> str:
    kept, position = [], 0
    for start, end, _ in _elements(_DOCUMENT_TAG, text):
        kept.append(text[position:start])
        position = end
    return "\n\n".join([*kept, text[position:]])


def _labelled_question(text: str) -> str | None:
    labels = [*_QUESTION_LABEL.finditer(text), *_QUESTION_HEADING.finditer(text)]
    for label in sorted(labels, key=lambda label: -label.end()):
        tail = text[label.end() :]
        end = _OTHER_LABEL.search(tail)
        question = re.split(r"\n\s*\n", tail[: end.start()] if end else tail)[0].strip()
        if question:
            return question
    return None


def _asking_sentences(paragraph: str) -> str:
    """Return the paragraph, or of a long one only the sentences that ask."""
    if len(paragraph.split()) <= _LONG:
        return paragraph
    sentences = re.split(r"(?<=[.!?])\s+", paragraph)
    return " ".join(sentence for sentence in sentences if sentence.endswith("?")) or paragraph


def _earlier_turns(messages: Sequence[BaseMessage]) -> list[str]:
    """Return the previous question, and the previous answer in short."""
    turns: list[str] = []
    for wanted in (is_human, _is_answer):
        for message in reversed(messages):
            text = text_of(message).strip() if wanted(message) else ""
            if text:
                texts = questions_in(text) if wanted is is_human else [text]
                turns.append(" ".join(texts[0].split()[:_ANSWER_WORDS]))
                break
    return turns


def _is_answer(message: BaseMessage) -> bool:
    return isinstance(message, AIMessage)

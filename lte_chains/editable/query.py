"""What is being asked: the texts to search edits with, out of a conversation.

The memory is searched by meaning, so the query must be the question and little
else. Two things stand in the way, and each is handled by rules that can be
read: prompts around the question in `templates`, and questions that lean on
earlier turns in `follow_ups`. Whoever knows better passes `query_extractor` or
`lte_query`.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage

from lte_chains.editable.follow_ups import in_context, in_full
from lte_chains.editable.labels import only_asks
from lte_chains.editable.templates import questions_in
from lte_chains.editable.transcripts import Turn, turns_in
from lte_chains.messages import is_human, last_human, text_of
from lte_chains.retrieval.references import leaves_open, refers_back, topics_in
from lte_chains.retrieval.several_questions import MOST_QUESTIONS, questions_of


def default_queries(messages: Sequence[BaseMessage]) -> list[str]:
    r"""Return the texts to search edits with; none if nobody asks anything.

    A fragment is searched in full, if the turns before it tell what it asks; another
    question that refers back in the readings of `follow_ups.in_context`, and as it
    stands where these do not name what it is about.
    Earlier turns are those of the conversation, or, in a prompt that carries the chat
    history itself, the ones that it quotes. What a person has asked right before a message
    that asks nothing is asked still.

    Example:
        >>> from langchain_core.messages import HumanMessage
        >>> default_queries([HumanMessage("Context: Jane runs it.\n\nQuestion: Who runs Acme?")])
        ['Who runs Acme?']
        >>> turns = [HumanMessage("Who runs Acme?"), AIMessage("Bob."), HumanMessage("Thanks!")]
        >>> default_queries([*turns, HumanMessage("How old is he?")])
        ['Who runs Acme?', 'Who runs Acme? How old is he?', 'Bob. How old is he?']
    """
    position = last_human(messages)
    if position is None:
        return []
    text = text_of(messages[position])
    questions = questions_in(text)
    quoted = [turn for turn in turns_in(text) if turn.text not in questions]
    turns = quoted or [_turn(message) for message in messages[:position] if _is_said(message)]
    found: list[str] = []
    for question in questions:
        full = in_full(question, turns)
        found += [full] if full else _searched(question, turns)
        turns = [*turns, Turn(by_human=True, text=full or question)]
    if questions and not any("?" in question or refers_back(question) for question in questions):
        found += _left_unanswered(messages[:position])
    return list(dict.fromkeys(found))


def queries_of(question: str) -> list[str]:
    """Return what a question is searched by that has neither a template nor turns around it.

    Example:
        >>> queries_of("Who runs Acme, and where is its seat?")[1:3]
        ['Who runs Acme?', "where is Acme's seat?"]
    """
    return list(dict.fromkeys([question, *_readings(question, ())]))


def _searched(question: str, turns: Sequence[Turn]) -> list[str]:
    """Return a question and its readings; these alone if only they say what it is about.

    By itself "What is its capital?" would find the capital of anything.
    """
    readings = _readings(question, turns)
    if topics_in(question, titles=False):
        return [question, *readings]
    leans = refers_back(question)
    told = any(topics_in(r, titles=False) or (leans and not refers_back(r)) for r in readings)
    return readings if told else [question, *readings]


def _readings(question: str, turns: Sequence[Turn]) -> list[str]:
    """Return what a question means in its context, and each of its questions if one leans on it.

    If all can be understood alone, the retriever takes them apart.
    """
    parts = questions_of(question)
    if len(parts) == 1:
        return in_context(question, turns) if _leans(question) else []
    if not any(map(_leans, parts)):
        return []
    found: list[str] = []
    for part in parts:
        found += in_context(part, turns) if refers_back(part) else [part]
        turns = [*turns, Turn(by_human=True, text=part)]
    return found


def _leans(question: str) -> bool:
    return refers_back(question) or leaves_open(question)


def _left_unanswered(messages: Sequence[BaseMessage]) -> list[str]:
    """Return what a person asked in the messages right before the last, not yet answered."""
    found: list[str] = []
    for message in reversed(messages):
        if not is_human(message):
            break
        asked = [question for question in questions_in(text_of(message)) if only_asks(question)]
        found = [*asked, *found]
    return found[-MOST_QUESTIONS:]


def _turn(message: BaseMessage) -> Turn:
    return Turn(by_human=is_human(message), text=text_of(message).strip())


def _is_said(message: BaseMessage) -> bool:
    if not is_human(message) and not isinstance(message, AIMessage):
        return False
    return bool(text_of(message).strip())

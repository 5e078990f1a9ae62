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

from lte_chains.editable.follow_ups import Turn, in_context, refers_back, turns_in
from lte_chains.editable.templates import questions_in
from lte_chains.messages import is_human, last_human, text_of


def default_queries(messages: Sequence[BaseMessage]) -> list[str]:
    r"""Return the texts to search edits with; none if nobody asks anything.

    A question that refers back is searched as it stands, and in the readings of
    `follow_ups.in_context`. Earlier turns are those of the conversation, or, in
    a prompt that carries the chat history itself, the ones that it quotes.

    Example:
        >>> from langchain_core.messages import HumanMessage
        >>> default_queries([HumanMessage("Context: Jane runs it.\n\nQuestion: Who runs Acme?")])
        ['Who runs Acme?']
        >>> turns = [HumanMessage("Who runs Acme?"), AIMessage("Bob."), HumanMessage("Thanks!")]
        >>> default_queries([*turns, HumanMessage("How old is he?")])
        ['How old is he?', 'Who runs Acme?', 'Who runs Acme? How old is he?', 'Bob. How old is he?']
    """
    position = last_human(messages)
    if position is None:
        return []
    text = text_of(messages[position])
    questions = questions_in(text)
    if not questions or not refers_back(questions[0]):
        return questions
    asked = questions[0]
    quoted = [turn for turn in turns_in(text) if turn.text != asked]
    turns = quoted or [_turn(message) for message in messages[:position] if _is_said(message)]
    return list(dict.fromkeys([*questions, *in_context(asked, turns)]))


def _turn(message: BaseMessage) -> Turn:
    return Turn(by_human=is_human(message), text=text_of(message).strip())


def _is_said(message: BaseMessage) -> bool:
    if not is_human(message) and not isinstance(message, AIMessage):
        return False
    return bool(text_of(message).strip())

"""LlamaIndex's chat messages as LangChain's, and what was edited there back again.

Only the message that was edited is ever translated back, and of its blocks
only the text: images, tool calls and the like are handed on as the objects
they were.

The mark of `lte_chains.messages` stays on the LangChain side. LlamaIndex sends
a message's `additional_kwargs` to the provider, or writes them into the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages import ChatMessage as OtherMessage
from llama_index.core.base.llms.types import ChatMessage, ContentBlock, MessageRole, TextBlock

_ANSWERS = {MessageRole.ASSISTANT, MessageRole.MODEL, MessageRole.CHATBOT}


def to_langchain(message: ChatMessage) -> BaseMessage:
    """Return a message's role and text as LangChain's; other blocks are only numbered.

    Example:
        >>> to_langchain(ChatMessage("Who runs Acme?")).text
        'Who runs Acme?'
    """
    content: list[str | dict[Any, Any]] = [
        {"type": "text", "text": block.text, "block": number}
        if isinstance(block, TextBlock)
        else {"type": "llama_index", "block": number}
        for number, block in enumerate(message.blocks)
    ]
    if message.role == MessageRole.USER:
        return HumanMessage(content)
    if message.role in _ANSWERS:
        return AIMessage(content)
    return OtherMessage(role=message.role.value, content=content)


def with_edits(
    messages: Sequence[ChatMessage], given: Sequence[BaseMessage], edited: Sequence[BaseMessage]
) -> list[ChatMessage]:
    """Return the conversation as it was edited; only what differs is a copy.

    Args:
        messages: The caller's conversation.
        given: Its translation.
        edited: The translation, after `apply_edits`.

    Example:
        >>> question = ChatMessage("Who runs Acme?")
        >>> [copied] = with_edits([question], [to_langchain(question)], [HumanMessage("Edited")])
        >>> copied.content, question.content
        ('Edited', 'Who runs Acme?')
    """
    return [
        message if after is before else _copy(message, after)
        for message, before, after in zip(messages, given, edited, strict=True)
    ]


def _copy(message: ChatMessage, edited: BaseMessage) -> ChatMessage:
    content = [edited.content] if isinstance(edited.content, str) else edited.content
    return message.model_copy(update={"blocks": [_block(message, part) for part in content]})


def _block(message: ChatMessage, part: str | dict[Any, Any]) -> ContentBlock:
    if isinstance(part, str):
        return TextBlock(text=part)
    number = part.get("block")
    if number is None:
        return TextBlock(text=part["text"])
    block: ContentBlock = message.blocks[number]
    if isinstance(block, TextBlock) and block.text != part["text"]:
        return block.model_copy(update={"text": part["text"]})
    return block

"""Models that read the knowledge-editing prompt and answer from it, and an embedder to match.

Without edits they answer from a document, and without one they do not know. So
an answer tells which edits reached the model, in every framework.
"""

from __future__ import annotations

import re

from langchain_core.messages import AIMessage, ToolMessage
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

from lte_chains.messages import text_of
from lte_chains.prompts import split_prompt
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.fakes_llm import RecordingModel
from tests.integrations.llama_index.fakes import ToolLLM

STEPS = 3
"""How often a model that has tools looks something up before it answers."""
UNKNOWN = "I do not know."

_START = "Please acknowledge the updated information"
_MEANINGS = {
    **dict.fromkeys(["boss", "head", "leads", "runs", "chief"], "ceo"),
    **dict.fromkeys(["headquarters", "based", "located", "office"], "seat"),
}
_STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "answer",
        "are",
        "at",
        "company",
        "do",
        "does",
        "has",
        "have",
        "in",
        "is",
        "it",
        "its",
        "me",
        "most",
        "of",
        "person",
        "tell",
        "that",
        "the",
        "this",
        "to",
        "was",
        "what",
        "where",
        "which",
        "who",
    ]
)


class TopicEmbeddings(BagOfWordsEmbeddings):
    """Counts a text's content words, of one meaning alike: rephrasings are near one another."""

    def __init__(self) -> None:
        super().__init__(dim=512)

    def embed_query(self, text: str) -> list[float]:
        words = re.findall(r"\w+", text.casefold())
        meant = [_MEANINGS.get(word, word) for word in words if word not in _STOP_WORDS]
        return [*super().embed_query(" ".join(meant)), 0.1]  # a direction even without words


class TopicNodeEmbedding(BaseEmbedding):
    """LlamaIndex's form of `TopicEmbeddings`."""

    def _get_query_embedding(self, query):
        return TopicEmbeddings().embed_query(query)

    async def _aget_query_embedding(self, query):
        return TopicEmbeddings().embed_query(query)

    def _get_text_embedding(self, text):
        return TopicEmbeddings().embed_query(text)


def answer_to(text: str) -> str:
    """Answer a prompt from the edits in it, else from a document in it."""
    template, start, rest = text.partition(_START)
    facts, _ = split_prompt(f"{start}{rest}")
    if facts:
        return " and ".join(fact.rpartition(" is ")[2] for fact in facts)
    stated = re.search(r"^(?:Context: )?(.+?) has been the CEO", template, re.MULTILINE)
    return stated[1] if stated else UNKNOWN


class ReadingModel(RecordingModel):
    """LangChain's: calls its tools `STEPS` times, if it has any, and answers what it reads."""

    def _answer(self, messages, options):
        with self._lock:
            self.seen.append(messages)
            self.options.append(options)
        asked = max(at for at, message in enumerate(messages) if message.type == "human")
        done = sum(isinstance(message, ToolMessage) for message in messages[asked:])
        if options.get("tools") and done < STEPS:
            call = {"name": "look_up", "args": {"step": done}, "id": f"call-{done}"}
            return AIMessage("", tool_calls=[call])
        return AIMessage(answer_to(text_of(messages[asked])))


class ReadingLlamaLLM(ToolLLM):
    """LlamaIndex's form of `ReadingModel`."""

    @property
    def metadata(self):
        return super().metadata.model_copy(update={"context_window": 100_000})

    def _answer(self, messages, options):
        self.seen.append(messages)
        self.options.append(options)
        asked = max(at for at, message in enumerate(messages) if message.role == "user")
        done = sum(message.role == "tool" for message in messages[asked:])
        if options.get("tools") and done < STEPS:
            call = ToolCallBlock(
                tool_call_id=f"call-{done}", tool_name="look_up", tool_kwargs={"step": done}
            )
            return ChatMessage(role="assistant", blocks=[call])
        return ChatMessage(role="assistant", content=answer_to(messages[asked].content or ""))

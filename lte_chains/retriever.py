"""EditRetriever: search the memory, gate what was found, follow hops, keep the best k."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langchain_core.vectorstores import VectorStoreRetriever
from pydantic import Field

from lte_chains.arguments import require_count, require_moment, require_queries, require_query
from lte_chains.edit import Edit, EditMatch
from lte_chains.memory import EditMemory
from lte_chains.prompts import neutralise
from lte_chains.retrieval.arguments import checked_fields
from lte_chains.retrieval.budget import (
    Budget,
    TokenCounter,
    approximate_tokens,
    singles_and_chains,
)
from lte_chains.retrieval.configured import ConfiguredRetriever
from lte_chains.retrieval.decomposition import decompose
from lte_chains.retrieval.driving import Driver
from lte_chains.retrieval.explanation import Explanation, Found, explain
from lte_chains.retrieval.hop_rules import HopRules, rules_for
from lte_chains.retrieval.hops import chains, follow, searched_names
from lte_chains.retrieval.own_words import set_aside
from lte_chains.retrieval.requests import Look, Steps
from lte_chains.retrieval.several_questions import joined, searched_texts
from lte_chains.retrieval.topics import judge_apart
from lte_chains.scope import CrossEncoderGate, ScopeGate, SimilarityGate
from lte_chains.scope.default import default_gate

CANDIDATES = 10
"""How many edits are searched and gated, at least; k of those in scope are kept."""

REACH = 38
"""How many more are looked at for the beginning of a chain."""


class EditRetriever(ConfiguredRetriever, VectorStoreRetriever):
    """Retrieve the edits that a query's answer depends on.

    Instantiate:
        `memory.as_retriever(k=3)`, or `EditRetriever(vectorstore=memory, k=3)`.
        LangChain's `search_kwargs={"k": 3, "filter": {…}}` is understood too.

    Use:
        `retrieve` gives `EditMatch`es, `invoke` the same as Documents, with
        callbacks and the run's options (see `ConfiguredRetriever`). `add_edits`
        writes to the memory.

    Async:
        `aretrieve`, `acandidates`, `aadd_edits` and `ainvoke` do not block the loop.

    Raises:
        ConfigError: The vector store is not an `EditMemory`, k is not a positive
            whole number, the search type is not "similarity", or a search
            argument is unknown.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from lte_chains import Edit, EditMemory
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> retriever = EditRetriever(vectorstore=memory, k=1, gate=SimilarityGate(0.9))
        >>> ids = retriever.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> [match.edit.target_new for match in retriever.retrieve("The CEO of Acme is")]
        ['Jane Doe']
    """

    vectorstore: EditMemory
    """The memory that is searched."""
    k: int = 3
    """Most edits that one query gets; the LTE paper uses 3."""
    gate: ScopeGate | None = Field(default_factory=default_gate)
    """Decides what is in scope: by default the trained gate, and where PyTorch is not installed
    the similarity gate, with the threshold that was calibrated for the memory's embedder. An
    explicit None holds everything in scope, and then no hops are followed."""
    hops: int = 3
    """How many edits one edit may lead to, one after the other; 0 follows none. A chain takes
    part in `k`: for questions over four facts, let that be 4 or more."""
    hop_rules: HopRules | None = None
    """How well a further edit must fit; those measured for the memory's embedder if None."""
    max_tokens: int | None = None
    """Most tokens of all edits of one query together."""
    token_counter: TokenCounter = Field(default=approximate_tokens, exclude=True)
    """Counts tokens for `max_tokens`, for instance `model.get_num_tokens`."""
    decomposer: BaseChatModel | None = Field(default=None, exclude=True)
    """Takes composed questions apart, so that edits on both sides of a fact that nobody edited
    are found; called at least once a query."""

    allowed_search_types: ClassVar[Collection[str]] = ("similarity",)

    def __init__(self, **fields: Any) -> None:
        """Check what LangChain's own constructor would accept and then ignore."""
        super().__init__(
            **checked_fields(
                fields, known=type(self).model_fields, search_types=self.allowed_search_types
            )
        )

    @property
    def memory(self) -> EditMemory:
        """The memory that is searched."""
        return self.vectorstore

    def retrieve(
        self, query: str, *, k: int | None = None, at: datetime | None = None
    ) -> list[EditMatch]:
        """Return the edits in scope, at most `k` of them, in the order to be read.

        Chains that hops have found come first, each from its first edit to its
        last; then the others, best first. Of several questions in one text, each
        is searched as well, and its best edits come before second ones of another.

        Args:
            query: The question, without any template around it.
            k: Most edits to return; the retriever's own `k` if None.
            at: The moment at which edits must hold, those of hops too; now if None.

        Raises:
            ConfigError: k is not a positive whole number, the query is no text,
                or `at` is not a date, nor a datetime with a time zone.
        """
        return self.retrieve_batch([query], k=k, at=at)[0]

    async def aretrieve(
        self, query: str, *, k: int | None = None, at: datetime | None = None
    ) -> list[EditMatch]:
        """Return the edits in scope, as `retrieve` does."""
        return (await self.aretrieve_batch([query], k=k, at=at))[0]

    def retrieve_batch(
        self, queries: Sequence[str], *, k: int | None = None, at: datetime | None = None
    ) -> list[list[EditMatch]]:
        """Return what `retrieve` does for each of several queries, which takes less time.

        They are embedded together and judged together, and so are their hops.

        Raises:
            ConfigError: As `retrieve` does, and for a text instead of a list.
        """
        driver, budget = self.driver(k, at), self._budget(k)
        asked = list(map(searched_texts, require_queries(queries)))
        found = driver.run_all(self._all_found(asked, budget))
        return [list(each.used) for each in joined(asked, found, budget)]

    async def aretrieve_batch(
        self, queries: Sequence[str], *, k: int | None = None, at: datetime | None = None
    ) -> list[list[EditMatch]]:
        """Return what `retrieve_batch` does."""
        driver, budget = self.driver(k, at), self._budget(k)
        asked = list(map(searched_texts, require_queries(queries)))
        found = await driver.arun_all(self._all_found(asked, budget))
        return [list(each.used) for each in joined(asked, found, budget)]

    def candidates(
        self, query: str, *, k: int | None = None, at: datetime | None = None
    ) -> list[EditMatch]:
        """Return all edits that were judged for the query itself, in scope or not, nearest first.

        Ten edits are judged (`k`, if that is more); of edits that say the same,
        only the nearest. What hops find is not among them: see `explain`.

        Raises:
            ConfigError: As `retrieve` does.
        """
        return self.driver(k, at).run(_judged(query))

    async def acandidates(
        self, query: str, *, k: int | None = None, at: datetime | None = None
    ) -> list[EditMatch]:
        """Return all edits that were judged, as `candidates` does."""
        return await self.driver(k, at).arun(_judged(query))

    def explain(
        self, query: str, *, k: int | None = None, at: datetime | None = None
    ) -> Explanation:
        """Return what `retrieve` came across, and why each edit is used or not.

        Raises:
            ConfigError: As `retrieve` does.
        """
        driver, budget = self.driver(k, at), self._budget(k)
        asked = [searched_texts(require_query(query))]
        [found] = joined(asked, driver.run_all(self._all_found(asked, budget)), budget)
        gate = self._gate
        described = "no gate" if gate is None else str(gate)
        return explain(query, found, at=driver.at, gate=described, gated=gate is not None)

    def merged(
        self, found: Sequence[Sequence[EditMatch]], *, k: int | None = None
    ) -> list[EditMatch]:
        """Join what several queries found: every edit once, in the order to be read.

        Args:
            found: What `retrieve` returned for each query.
            k: Most edits to return; the retriever's own `k` if None.
        """
        if len(found) == 1:
            return list(found[0])
        return self._budget(k).select(*singles_and_chains(found))

    def add_edits(self, edits: Sequence[Edit]) -> list[str]:
        """Add edits to the memory and return their ids; see `EditMemory.add_edits`."""
        return self.memory.add_edits(edits)

    async def aadd_edits(self, edits: Sequence[Edit]) -> list[str]:
        """Add edits to the memory, as `add_edits` does."""
        return await self.memory.aadd_edits(edits)

    def in_namespace(self, name: str) -> Self:
        """Return the same retriever over another namespace of the memory."""
        return self.model_copy(update={"vectorstore": self.memory.in_namespace(name)})

    # The base class takes any keyword; here one that is not known is an error.
    def _get_relevant_documents(  # type: ignore[override]
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
        k: int | None = None,
        at: datetime | None = None,
        run: RunnableConfig | None = None,
    ) -> list[Document]:
        retriever, at = self._for_run(run, at)
        return [as_document(match) for match in retriever.retrieve(query, k=k, at=at)]

    async def _aget_relevant_documents(  # type: ignore[override]
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002
        k: int | None = None,
        at: datetime | None = None,
        run: RunnableConfig | None = None,
    ) -> list[Document]:
        retriever, at = self._for_run(run, at)
        return [as_document(match) for match in await retriever.aretrieve(query, k=k, at=at)]

    def _all_found(self, asked: Sequence[Sequence[str]], budget: Budget) -> list[Steps[Found]]:
        """Return the steps for every text of several queries, those of each in a row."""
        return [
            self._found(text, budget, whole=place == 0)
            for texts in asked
            for place, text in enumerate(texts)
        ]

    def _found(self, query: str, budget: Budget, *, whole: bool) -> Steps[Found]:
        """Search, gate, follow hops and select; only a whole query is taken apart by a model."""
        if not query.strip():
            return Found((), (), (), (), ())
        names = searched_names(query) if self.hops and self.gate is not None else ()
        near, judged, beyond = yield Look(query, names)
        if not near:
            return Found((), (), (), (), ())
        if self.gate is None:
            return Found(near, judged, (), (), budget.select(judged))
        aside = set_aside(query, judged)
        if aside:
            judged = [replace(m, in_scope=m.in_scope and m not in aside) for m in judged]
        rules = self.hop_rules or rules_for(self.memory.fingerprint)
        steps = yield from follow(query, judged, beyond, rules=rules, hops=self.hops)
        planned: list[EditMatch] = []
        if self.decomposer is not None and self.hops and whole:
            planned = yield from decompose(query, hops=self.hops)
        groups = [planned, *chains(steps)]
        return Found(near, judged, steps, planned, budget.select(judged, groups), aside)

    def driver(self, k: int | None = None, at: datetime | None = None) -> Driver:
        """Return what carries out steps of retrieval on this memory, at one moment."""
        pool = max(self._wanted(k), CANDIDATES)
        return Driver(
            memory=self.memory,
            judge=self._judge,
            pool=pool,
            reach=pool + REACH if self.hops and self.gate is not None else pool,
            at=datetime.now(UTC) if at is None else require_moment("at", at),
            search_kwargs=self.search_kwargs,
            llm=self.decomposer,
        )

    def _budget(self, k: int | None) -> Budget:
        return Budget(self._wanted(k), self.max_tokens, self.token_counter)

    def _wanted(self, k: int | None) -> int:
        return require_count("k", self.k if k is None else k)

    @property
    def _gate(self) -> ScopeGate | None:
        if isinstance(self.gate, SimilarityGate | CrossEncoderGate):
            # Now, not at construction: the memory may have been re-embedded since.
            return self.gate.for_embedder(self.memory.fingerprint)
        return self.gate

    def _judge(
        self, queries: Sequence[str], matches: Sequence[Sequence[EditMatch]]
    ) -> list[list[EditMatch]]:
        return judge_apart(self._gated, queries, matches)

    def _gated(
        self, queries: Sequence[str], matches: Sequence[Sequence[EditMatch]]
    ) -> list[list[EditMatch]]:
        gate = self._gate
        if gate is None:
            return list(map(list, matches))
        together = getattr(gate, "judge_batch", None)  # not every gate can
        if together is not None:
            judged: list[list[EditMatch]] = together(queries, matches)
            return judged
        return [gate.judge(query, own) for query, own in zip(queries, matches, strict=True)]


def facts_among(matches: Iterable[EditMatch]) -> list[EditMatch]:
    """Return the matches that are facts: a document tells, and how to answer is not its to say."""
    return [match for match in matches if match.edit.instruction is None]


def as_document(match: EditMatch) -> Document:
    """Return a match as a Document: what the model reads, and under "lte" where it comes from.

    The text is rendered as in the knowledge-editing prompt, for it will stand in
    somebody's template; the edit itself has it as it was given.

    Example:
        >>> edit = Edit(prompt="2 + 2 is", target_new="5", id="e1", metadata={"lang": "en"})
        >>> document = as_document(EditMatch(edit=edit, score=0.9))
        >>> document.page_content, document.metadata["lang"], document.metadata["lte"]["score"]
        ('2 + 2 is 5', 'en', 0.9)
    """
    edit = match.edit
    provenance = {
        "id": edit.id,
        "score": match.score,
        "in_scope": match.in_scope,
        "hop": match.hop,
        "namespace": edit.namespace,
        "version": edit.version,
        "revision": edit.revision,
        "subject": edit.subject,
        "relation": edit.relation,
        "source": edit.source,
        "valid_from": edit.valid_from.isoformat() if edit.valid_from else None,
        "valid_until": edit.valid_until.isoformat() if edit.valid_until else None,
        **({} if edit.instruction is None else {"instruction": True}),
    }
    return Document(
        id=edit.id,
        page_content=neutralise(edit.dated),
        metadata={**edit.metadata, "lte": provenance},
    )


def _judged(query: str) -> Steps[list[EditMatch]]:
    if not require_query(query).strip():
        return []
    _, judged, _ = yield Look(query)
    return list(judged)

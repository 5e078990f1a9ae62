"""A question beside an edit, as the tokens that the cross-encoder reads.

Two vectors have lost what tells "same subject, other relation" from "in
scope". The cross-encoder gets it back: question and edit stand side by side, and every token
carries a type that says which part it belongs to (question, prompt, subject, target) and
whether the same token stands on the other side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lte_chains.edit import Edit
from lte_chains.errors import MissingExtraError
from lte_chains.scope.offices import abbreviated

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.int64]

QUESTION, ASKS_PROMPT, ASKS_SUBJECT, ASKS_TARGET = 0, 1, 2, 3
"""Types of a question's token: in the question alone, or where it stands in the edit too."""
PROMPT, SUBJECT, TARGET = 4, 5, 6
"""Types of an edit's token; `SHARED` is added if it stands in the question too."""
SHARED = 3
TYPES = 10

QUESTION_TOKENS = 128
"""Most tokens of a question that are read: its last ones, where questions are put."""
EDIT_TOKENS = 128
"""Most tokens of an edit's prompt, and of its target, that are read: the first ones."""
POSITIONS = QUESTION_TOKENS + 2 * EDIT_TOKENS + 3


def with_chain(question: str, edits: Iterable[Edit]) -> str:
    """Return the question with the edits that are known already, for judging the next hop.

    Whether the capital of Norway matters to "What is the capital of the country that Ann is
    a citizen of?" can be told only by someone who knows that Ann is a citizen of Norway.

    Example:
        >>> ann = Edit(prompt="Ann is a citizen of", target_new="Norway")
        >>> with_chain("What is the capital of Ann's country?", [ann])
        "What is the capital of Ann's country? given: Ann is a citizen of Norway"
    """
    known = "; ".join(edit.descriptor for edit in edits)
    return f"{question} given: {known}" if known else question


def as_asked(edit: Edit, question: str) -> Edit:
    """Return the edit under the alias by which the question calls its subject, if it does.

    Example:
        >>> edit = Edit(prompt="The capital of Burma is", target_new="Mandalay",
        ...             subject="Burma", aliases=("Myanmar",))
        >>> as_asked(edit, "What is the capital of Myanmar?").prompt
        'The capital of Myanmar is'
    """
    subject = edit.subject
    if not edit.aliases or subject is None or _stands_in(subject, question):
        return edit
    found = [alias for alias in edit.aliases if _stands_in(alias, question)]
    if not found:
        return edit
    alias = max(found, key=len)
    statement = None if edit.statement is None else edit.statement.replace(subject, alias)
    prompt = edit.prompt.replace(subject, alias)
    return replace(edit, prompt=prompt, statement=statement, subject=alias, aliases=())


def _stands_in(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


@dataclass(frozen=True)
class EditTokens:
    """An edit's tokens, and which part of it each belongs to."""

    ids: tuple[int, ...]
    parts: tuple[int, ...]

    def of(self, part: int) -> frozenset[int]:
        """Return the distinct tokens of one part."""
        pairs = zip(self.ids, self.parts, strict=True)
        return frozenset(token for token, own in pairs if own == part)


@dataclass(frozen=True)
class Batch:
    """Padded pairs: token ids, token types and the mask of real tokens, (pairs, length) each."""

    ids: Ids
    types: Ids
    mask: npt.NDArray[np.bool_]


class PairEncoder:
    """Make tokens of pairs, with a BERT vocabulary.

    Args:
        vocabulary: A ``vocab.txt``, one token a line.

    Raises:
        MissingExtraError: The `tokenizers` package is not installed.
    """

    def __init__(self, vocabulary: Path) -> None:
        """Load the vocabulary."""
        try:
            from tokenizers import BertWordPieceTokenizer
        except ImportError as error:
            raise MissingExtraError("tokenizers", "offline") from error

        self._tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self._start: int = self._tokenizer.token_to_id("[CLS]")
        self._separator: int = self._tokenizer.token_to_id("[SEP]")
        # Questions meet ten edits each, and edits many questions.
        self.question = lru_cache(maxsize=4096)(self._question)
        self.edit = lru_cache(maxsize=16384)(self._edit)

    def pair(self, question: str, edit: Edit) -> tuple[list[int], list[int]]:
        """Return the pair's token ids and their types."""
        asked = self.question(question)
        edit = as_asked(edit, question)
        told = self.edit(edit.prompt, edit.target_new, edit.subject, edit.statement)
        subject, target = told.of(SUBJECT), told.of(TARGET)
        elsewhere = told.of(PROMPT)
        types = [QUESTION]
        for token in asked:
            if token in subject:
                types.append(ASKS_SUBJECT)
            elif token in target:
                types.append(ASKS_TARGET)
            else:
                types.append(ASKS_PROMPT if token in elsewhere else QUESTION)
        shared = frozenset(asked)
        types += [QUESTION]
        types += [
            part + SHARED if token in shared else part
            for token, part in zip(told.ids, told.parts, strict=True)
        ]
        ids = [self._start, *asked, self._separator, *told.ids, self._separator]
        return ids, [*types, PROMPT]

    def batch(self, pairs: Sequence[tuple[list[int], list[int]]]) -> Batch:
        """Pad pairs to the longest of them."""
        import numpy as np

        longest = max(len(ids) for ids, _ in pairs)
        ids = np.zeros((len(pairs), longest), dtype=np.int64)
        types = np.zeros_like(ids)
        mask = np.zeros(ids.shape, dtype=np.bool_)
        for row, (tokens, kinds) in enumerate(pairs):
            ids[row, : len(tokens)] = tokens
            types[row, : len(tokens)] = kinds
            mask[row, : len(tokens)] = True
        return Batch(ids, types, mask)

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(abbreviated(text), add_special_tokens=False).ids
        return tokens

    def _question(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokens(text)[-QUESTION_TOKENS:])

    def _edit(
        self, prompt: str, target: str, subject: str | None, statement: str | None
    ) -> EditTokens:
        ids = self._tokens(prompt if statement is None else statement)[:EDIT_TOKENS]
        parts = [PROMPT] * len(ids)
        if subject is not None:
            _mark(ids, parts, self._tokens(subject))
        answer = self._tokens(target)[:EDIT_TOKENS] if statement is None else []
        return EditTokens((*ids, *answer), (*parts, *[TARGET] * len(answer)))


def _mark(ids: Sequence[int], parts: list[int], subject: Sequence[int]) -> None:
    """Mark every place where the subject stands."""
    if not subject:
        return
    for start in range(len(ids) - len(subject) + 1):
        if list(ids[start : start + len(subject)]) == list(subject):
            parts[start : start + len(subject)] = [SUBJECT] * len(subject)

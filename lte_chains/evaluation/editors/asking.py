"""Ask an edited model: generate answers, or force targets, in batches for every method alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from lte_chains.evaluation.editors.base import Editor, Route
from lte_chains.evaluation.teacher_forcing import Forced, force_targets
from lte_chains.models import LocalChatModel

_Key = TypeVar("_Key")


def answer(
    editor: Editor,
    questions: Iterable[str],
    *,
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, str]:
    """Return the generated answer to each distinct question.

    A question that overflows the model's context, edits included, has the empty
    answer: it is wrong, and not the end of the run.

    Args:
        editor: The method, with its edits applied.
        questions: What to ask.
        batch_size: Questions in one forward pass.
        advance: Is told how many are done after each batch.
    """
    distinct = list(dict.fromkeys(questions))
    routes = dict(zip(distinct, editor.routes(distinct), strict=True))
    answers: dict[str, str] = {}
    for model, wanted in _by_model(routes):
        # Similar lengths together: what is padding in a batch is computed in vain.
        ordered = sorted(wanted, key=lambda q: sum(len(m.text) for m in routes[q].messages))
        for start in range(0, len(ordered), batch_size):
            chunk = ordered[start : start + batch_size]
            texts = _generate(model, [list(routes[q].messages) for q in chunk])
            answers.update(zip(chunk, texts, strict=True))
            advance(len(chunk))
    return answers


def force(
    editor: Editor,
    pairs: Iterable[tuple[str, str]],
    *,
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[tuple[str, str], Forced]:
    """Force each (question, target) upon the model that would answer; see `force_targets`."""
    distinct = list(dict.fromkeys(pairs))
    routes = dict(zip(distinct, editor.routes([q for q, _ in distinct]), strict=True))
    forced: dict[tuple[str, str], Forced] = {}
    for model, wanted in _by_model(routes):
        if not isinstance(model, LocalChatModel):
            continue
        requests = [(routes[pair].messages, pair[1]) for pair in wanted]
        results = force_targets(model, requests, batch_size=batch_size, advance=advance)
        forced.update(zip(wanted, results, strict=True))
    return forced


def _by_model(routes: dict[_Key, Route]) -> list[tuple[BaseChatModel, list[_Key]]]:
    """Group keys by the model that answers them."""
    groups: dict[int, tuple[BaseChatModel, list[_Key]]] = {}
    for key, route in routes.items():
        groups.setdefault(id(route.model), (route.model, []))[1].append(key)
    return list(groups.values())


def _generate(model: BaseChatModel, conversations: Sequence[list[BaseMessage]]) -> list[str]:
    try:
        result = model.generate([list(messages) for messages in conversations])
    except ContextOverflowError:
        if len(conversations) == 1:
            return [""]
        return [text for messages in conversations for text in _generate(model, [messages])]
    return [generations[0].text for generations in result.generations]

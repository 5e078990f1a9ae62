"""Before and after alignment: the same prompts, judged alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from lte_chains.errors import ConfigError
from lte_chains.evaluation.alignment import evaluate_alignment, make_questions
from lte_chains.prompts import split_prompt
from tests.fakes_embeddings import BagOfWordsEmbeddings

ROWS = [
    {
        "subject": "Acme",
        "prompt": "The CEO of Acme is",
        "target_new": "Jane",
        "ground_truth": "Joe",
        "rephrase_prompt": "Acme has which CEO?",
        "portability": {"Reasoning": [{"prompt": "Where was Acme's CEO born?", "ground_truth": "Oslo"}]},
        "bridge": "Jane was born in Oslo",
        "locality": {"Known_Facts": [{"prompt": "The capital of Peru is", "ground_truth": "Lima"}]},
    }
]  # fmt: skip
KNOWN = {"The capital of Peru is": "Lima"}


class Reader(BaseChatModel):
    """Answers with the last word of the last fact, or from memory; `wits` are what it can do."""

    wits: frozenset[str] = frozenset()

    @property
    def _llm_type(self) -> str:
        return "reader"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        facts, question = split_prompt(messages[-1].text)
        answer = KNOWN.get(question, "?")
        if facts and "apply" in self.wits and (answer == "?" or "ignore" not in self.wits):
            answer = facts[-1].split()[-1]
        message = AIMessage(answer, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        "lte_chains.evaluation.retrieval.default_embeddings", lambda: BagOfWordsEmbeddings()
    )
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS), encoding="utf-8")
    return path


def test_both_models_read_the_same_prompts_and_the_gain_is_the_difference(rows: Path) -> None:
    aligned = Reader(wits=frozenset({"apply", "ignore"}))
    report = evaluate_alignment(rows, Reader(), aligned)
    assert report["base"]["edit_success"] == 0
    assert report["aligned"]["edit_success"] == 1
    assert report["gain"]["edit_success"] == 1
    assert report["aligned"]["Reasoning_bridged"] == 1
    assert report["aligned"]["recall"] == report["base"]["recall"] == 1
    assert report["aligned"]["ended"] == 1
    assert report["aligned"]["fluency"] is None


def test_a_model_that_obeys_every_edit_loses_ungated_locality(rows: Path) -> None:
    report = evaluate_alignment(rows, Reader(), Reader(wits=frozenset({"apply"})))
    assert report["aligned"]["locality_ungated"] == 0
    assert report["base"]["locality_ungated"] == 1


def test_prompts_without_the_wording_hold_the_bare_facts(rows: Path) -> None:
    questions = make_questions(rows, style=None, embeddings=BagOfWordsEmbeddings())
    [own] = [q for q in questions.asked if q.measure == "edit_success"]
    assert own.prompt == "The CEO of Acme is Jane\nThe CEO of Acme is"


def test_no_edit_at_all_is_refused(rows: Path) -> None:
    with pytest.raises(ConfigError, match="k must be"):
        evaluate_alignment(rows, Reader(), Reader(), k=0)

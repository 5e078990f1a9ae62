"""A run keeps what holds, logs what does not, and goes on where it stopped."""

from __future__ import annotations

import json

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, DataError
from lte_chains.training.parallel import read_source
from lte_chains.training.synthesis import SynthesisConfig, ToWrite, estimate, synthesize


class Scripted(BaseChatModel):
    """Gives its replies in turn, the last one for ever; a reply that is an error is raised."""

    replies: list = Field(default_factory=list)
    seen: list = Field(default_factory=list)

    @property
    def _llm_type(self):
        return "scripted"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.seen.append(messages)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return ChatResult(generations=[ChatGeneration(message=AIMessage(reply))])


def drafts(*pairs):
    return json.dumps([{"question": question, "answer": answer} for question, answer in pairs])


ACME = ToWrite(Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme"), "Joe")
GOOD = ("Who leads Acme?", "Jane Doe leads it.")
ALSO = ("Introduce Acme's boss.", "It is Jane Doe.")
BAD = ("Who is Acme's boss?", "Joe is.")
ONE_AT_A_TIME = SynthesisConfig(per_edit=2, attempts=3, concurrency=1)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_what_holds_is_written_as_rows_that_can_be_trained_on(tmp_path):
    out = tmp_path / "text.jsonl"
    writer = Scripted(replies=[drafts(GOOD, ALSO)])
    summary = synthesize([ACME, ACME], out, writer=writer, config=ONE_AT_A_TIME)
    assert (summary.edits, summary.finished, summary.questions, summary.failed) == (1, 1, 2, 0)
    (case,) = read_source(out)
    assert case.edits[0].target_new == "Jane Doe"
    assert [(q.kind, q.prompt, q.answer, q.unedited) for q in case.queries] == [
        ("rewrite", "The CEO of Acme is", "Jane Doe", "Joe"),
        ("free_text", *GOOD, None),
        ("free_text", *ALSO, None),
    ]
    assert lines(tmp_path / "text.failures.jsonl") == []


def test_refused_drafts_are_logged_and_tried_again_with_the_reason(tmp_path):
    out = tmp_path / "text.jsonl"
    writer = Scripted(replies=[drafts(GOOD, BAD), "nonsense", drafts(GOOD, ALSO)])
    summary = synthesize([ACME], out, writer=writer, config=ONE_AT_A_TIME)
    assert summary.finished == 1
    (failure,) = lines(tmp_path / "text.failures.jsonl")
    assert failure["finished"] is True
    assert [(r["attempt"], r["reason"]) for r in failure["rejected"]] == [
        (1, "the answer does not carry the new value"),
        (2, "the reply holds no JSON list"),
        (3, "the question was there already"),
    ]
    second = writer.seen[1]
    assert "Write 1 different" in second[0].text
    assert "does not carry the new value" in second[1].text


def test_a_model_that_raises_costs_an_attempt_and_not_the_run(tmp_path):
    out = tmp_path / "text.jsonl"
    writer = Scripted(replies=[RuntimeError("busy"), drafts(GOOD, ALSO)])
    assert synthesize([ACME], out, writer=writer, config=ONE_AT_A_TIME).finished == 1
    (failure,) = lines(tmp_path / "text.failures.jsonl")
    assert failure["rejected"][0]["reason"] == "the model failed: RuntimeError: busy"


def test_an_edit_that_never_succeeds_is_left_out_and_tried_by_the_next_run(tmp_path):
    out = tmp_path / "text.jsonl"
    hopeless = Scripted(replies=[drafts(BAD)])
    assert synthesize([ACME], out, writer=hopeless, config=ONE_AT_A_TIME).failed == 1
    assert len(hopeless.seen) == 3
    assert lines(out) == []
    again = Scripted(replies=[drafts(GOOD, ALSO)])
    assert synthesize([ACME], out, writer=again, config=ONE_AT_A_TIME).finished == 1


def test_a_run_goes_on_where_it_stopped(tmp_path):
    out = tmp_path / "text.jsonl"
    other = ToWrite(Edit(prompt="The CEO of Globex is", target_new="Jane Doe"))
    interrupted = Scripted(replies=[drafts(GOOD, ALSO), KeyboardInterrupt()])
    interrupted.replies[1] = drafts(BAD)
    synthesize([ACME, other], out, writer=interrupted, config=ONE_AT_A_TIME)
    with out.open("a", encoding="utf-8") as file:
        file.write('{"key": "cut o')  # as a crash leaves it
    writer = Scripted(replies=[drafts(GOOD, ALSO)])
    summary = synthesize([ACME, other], out, writer=writer, config=ONE_AT_A_TIME)
    assert (summary.resumed, summary.finished, len(writer.seen)) == (1, 1, 1)
    assert len(lines(out)) == 2


def test_the_judge_has_the_last_word(tmp_path):
    out = tmp_path / "text.jsonl"
    writer = Scripted(replies=[drafts(GOOD, ALSO), drafts(("Acme's chief?", "Jane Doe."))])
    judge = Scripted(replies=["Yes.", "No. It is vague.", RuntimeError("busy"), "yes"])
    config = SynthesisConfig(per_edit=2, attempts=3, concurrency=1)
    assert synthesize([ACME], out, writer=writer, judge=judge, config=config).finished == 1
    (failure,) = lines(tmp_path / "text.failures.jsonl")
    assert [r["reason"] for r in failure["rejected"]] == [
        "It is vague.",
        "the model failed: RuntimeError: busy",
    ]


def test_a_free_text_edit_needs_a_judge(tmp_path):
    item = ToWrite(Edit.from_statement("Acme moved to Lisbon."))
    writer = Scripted(replies=[drafts(("Where is Acme?", "In Portugal."))])
    with pytest.raises(ConfigError, match="Give a judge"):
        synthesize([item], tmp_path / "a.jsonl", writer=writer)
    judge = Scripted(replies=["yes"])
    config = SynthesisConfig(per_edit=1)
    out = tmp_path / "b.jsonl"
    assert synthesize([item], out, writer=writer, judge=judge, config=config).finished == 1


def test_many_edits_are_worked_on_at_a_time(tmp_path):
    items = [
        ToWrite(Edit(prompt=f"The CEO of Firm{n} is", target_new="Jane Doe")) for n in range(5)
    ]
    writer = Scripted(replies=[drafts(GOOD, ALSO)])
    config = SynthesisConfig(per_edit=2, concurrency=2)
    assert synthesize(items, tmp_path / "a.jsonl", writer=writer, config=config).finished == 5


def test_a_file_of_something_else_is_not_appended_to(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text('{"a": 1}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"line 1 is not of an earlier run"):
        synthesize([ACME], path, writer=Scripted(replies=["[]"]))
    with pytest.raises(DataError, match="cannot write"):
        synthesize([ACME], path / "below.jsonl", writer=Scripted(replies=["[]"]))


def test_the_estimate_counts_what_is_left_to_do(tmp_path):
    out = tmp_path / "text.jsonl"
    other = ToWrite(Edit(prompt="The CEO of Globex is", target_new="Hank"))
    config = SynthesisConfig(per_edit=2, attempts=3)
    first = estimate([ACME, other, other], out, config=config, judged=True)
    assert (first.edits, first.calls, first.worst) == (2, 2 + 4, 3)
    assert first.input_tokens > first.output_tokens > 0
    assert not out.exists()
    synthesize([ACME], out, writer=Scripted(replies=[drafts(GOOD, ALSO)]), config=config)
    assert estimate([ACME, other], out, config=config).calls == 1


@pytest.mark.parametrize("setting", ["per_edit", "attempts", "concurrency"])
def test_settings_are_positive(setting):
    with pytest.raises(ConfigError, match=f"{setting} must be at least 1"):
        SynthesisConfig(**{setting: 0})

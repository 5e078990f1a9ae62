"""`evaluate_knowedit`: with a model whose answers are known, and with a real small one."""

from __future__ import annotations

import pytest
from langchain_core.language_models import SimpleChatModel
from langchain_core.messages import HumanMessage

from lte_chains.errors import ConfigError, ModelError
from lte_chains.evaluation import evaluate_knowedit
from lte_chains.local.decoding import PromptTooLongError
from lte_chains.models import load_model
from tests.evaluation.rows import ROWS, write_rows
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.tiny_models import save_adapter, save_llama


class _Words(BagOfWordsEmbeddings):
    fingerprint = "all-MiniLM-L6-v2:test"

    def __init__(self) -> None:
        super().__init__(dim=1024)


class _Reader(SimpleChatModel):
    """Answers with the first fact that it is given, and else knows nothing new."""

    def _call(self, messages, stop=None, run_manager=None, **kwargs):
        _, given, rest = messages[-1].text.partition("[Updated Information]:\n")
        if not given:
            return "I do not know."
        return rest.splitlines()[0].removeprefix("1. ").rpartition(" is ")[2]

    @property
    def _llm_type(self):
        return "reader"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = save_llama(tmp_path_factory.mktemp("llama"), context=1024)
    return folder, save_adapter(folder, tmp_path_factory.mktemp("adapter"))


@pytest.fixture
def data(tmp_path):
    return write_rows(tmp_path)


def _lte(data, model, **options):
    return evaluate_knowedit(data, model, embeddings=_Words(), **options)["methods"]["lte"]


def test_a_model_that_reads_its_edits_scores_what_can_be_worked_out(data):
    result = _lte(data, _Reader(), k=1)
    assert result["edit_success"] == 1.0
    # The third rephrasing shares no word with its edit: nothing is in scope.
    assert result["rephrase"] == 0.6667
    # One row has portability: of its two kinds, the alias is right and the reasoning is not.
    assert result["portability"] == 0.5
    assert result["portability_by_kind"] == {"Reasoning": 0.0, "Subject_Aliasing": 1.0}


def test_locality_is_agreement_with_the_original_model(data):
    result = _lte(data, _Reader(), k=1)
    assert result["locality"] == 1.0
    assert result["locality_marked"] == 0.0
    assert result["locality_ungated"] == 0.0


def test_a_model_without_logits_has_no_teacher_forced_scores(data):
    assert _lte(data, _Reader())["teacher_forced"] is None


def test_the_report_records_what_was_run(data):
    report = evaluate_knowedit(data, _Reader(), embeddings=_Words(), seed=7, limit=2)
    del report["methods"]
    assert report == {
        "data": str(data),
        "rows": 2,
        "superseded": 0,
        "model": "_Reader",
        "embedder": "all-MiniLM-L6-v2:test",
        "k": 3,
        "seed": 7,
    }


def test_a_superseded_row_counts_as_a_miss_and_is_reported(tmp_path):
    data = write_rows(tmp_path, [ROWS[0], {**ROWS[0], "target_new": "John Roe"}])
    report = evaluate_knowedit(data, _Reader(), embeddings=_Words())
    assert report["superseded"] == 1
    assert report["methods"]["lte"]["edit_success"] == 0.5


def test_all_edits_are_in_memory_before_the_first_question(data):
    facts_seen = []

    class Watching(_Reader):
        def _call(self, messages, stop=None, run_manager=None, **kwargs):
            facts_seen.append(messages[-1].text.count("The CEO of"))
            return "x"

    _lte(data, Watching(), k=3)
    assert max(facts_seen) >= 3


def test_each_distinct_question_is_asked_once_per_setting(data):
    asked = []

    class Watching(_Reader):
        def _call(self, messages, stop=None, run_manager=None, **kwargs):
            asked.append(messages[-1].text)
            return "x"

    _lte(data, Watching())
    # 3 prompts, 3 rephrasings, 2 portability and 3 locality probes; the latter twice more.
    assert len(asked) == 11 + 2 * 3


def test_a_prompt_beyond_the_context_is_a_wrong_answer_not_the_end_of_the_run(data):
    class Small(_Reader):
        def _call(self, messages, stop=None, run_manager=None, **kwargs):
            if "Globex" in messages[-1].text:
                raise PromptTooLongError("too long")
            return super()._call(messages)

    assert _lte(data, Small(), k=1)["edit_success"] == 0.6667


def test_other_errors_of_a_model_are_not_hidden(data):
    class Broken(_Reader):
        def _call(self, messages, stop=None, run_manager=None, **kwargs):
            raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        _lte(data, Broken())


def test_a_local_model_is_scored_by_generation_and_by_teacher_forcing(data, folders):
    result = _lte(data, str(folders[0]))
    assert set(result["teacher_forced"]) == {"edit_success", "rephrase", "portability", "locality"}
    assert all(0 <= value <= 1 for value in result["teacher_forced"].values())
    assert result["fluency"] > 0


def test_the_same_run_gives_the_same_figures(data, folders):
    assert _lte(data, str(folders[0])) == _lte(data, str(folders[0]))


def test_batches_do_not_change_the_figures(data, folders):
    one, many = (_lte(data, str(folders[0]), batch_size=size) for size in (1, 32))
    assert one == many


def test_an_adapted_model_is_compared_with_itself_without_the_adapter(data, folders):
    adapted = load_model(folders[0], adapter=folders[1], max_new_tokens=8)
    bare = load_model(folders[0], max_new_tokens=8)
    question = [HumanMessage("Lions")]
    assert adapted.invoke(question).text != bare.invoke(question).text
    result = _lte(data, adapted)
    # Out of scope, the unedited view answers: the same model, so the same answer.
    assert result["locality"] == 1.0


def test_progress_goes_to_stderr_alone(data, capsys):
    _lte(data, _Reader())
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "edited" in printed.err


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"methods": ("lte", "rome")}, ConfigError, r"unknown methods \['rome'\]"),
        ({"methods": ()}, ConfigError, "use some of"),
        ({"batch_size": 0}, ConfigError, "batch_size must be"),
        ({"k": 0}, ConfigError, "k must be a whole number"),
        ({"limit": 0}, ConfigError, "limit=0"),
    ],
)
def test_bad_arguments_are_refused(data, options, error, message):
    with pytest.raises(error, match=message):
        evaluate_knowedit(data, _Reader(), embeddings=_Words(), **options)


def test_a_model_that_is_none_is_a_model_error(data, tmp_path):
    with pytest.raises(ModelError):
        evaluate_knowedit(data, str(tmp_path / "nothing"), embeddings=_Words())

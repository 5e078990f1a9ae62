"""The induction circuit: a model that was never trained copies what it read before."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lte_chains.errors import ConfigError
from lte_chains.training.pretraining.induction import write_induction_circuit


def _model(**sizes: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    settings = {
        "vocab_size": 2000,
        "hidden_size": 256,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        **sizes,
    }
    return LlamaForCausalLM(LlamaConfig(**settings, tie_word_embeddings=True))


def _copied(model: LlamaForCausalLM) -> float:
    """Return the share of right tokens when a random text begins anew."""
    text = torch.randint(0, 2000, (8, 30), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        guesses = model(torch.cat([text, text[:, 5:25]], dim=1)).logits.argmax(-1)
    return float((guesses[:, 31:-1] == text[:, 7:25]).float().mean())


def test_an_untrained_model_copies_with_the_circuit_and_not_without() -> None:
    model = _model()
    assert _copied(model) < 0.05
    write_induction_circuit(model, seed=1)
    assert _copied(model) > 0.3


def test_the_same_seed_writes_the_same_circuit() -> None:
    one, other = _model(), _model()
    write_induction_circuit(one, seed=4)
    write_induction_circuit(other, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    "sizes",
    [{"num_hidden_layers": 1}, {"num_key_value_heads": 2}, {"num_attention_heads": 1}],
)
def test_a_model_of_another_shape_is_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="two layers"):
        write_induction_circuit(_model(**{"num_key_value_heads": 4, **sizes}), seed=1)

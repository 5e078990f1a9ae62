"""Free-text training questions, written by a chat model and verified."""

from lte_chains.training.synthesis.estimate import Estimate, estimate
from lte_chains.training.synthesis.run import Summary, SynthesisConfig, ToWrite, synthesize

__all__ = ["Estimate", "Summary", "SynthesisConfig", "ToWrite", "estimate", "synthesize"]

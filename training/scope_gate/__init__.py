"""Parts of the scope gate's training; see `lte_chains.training.scope`."""

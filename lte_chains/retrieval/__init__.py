"""The parts of retrieval: following hops, keeping a budget, explaining, and old documents."""

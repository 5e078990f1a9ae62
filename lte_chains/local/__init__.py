"""The parts of `load_model`: loading, templates, batches, decoding."""

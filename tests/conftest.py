"""Settings that hold for every test: offline, deterministic, few threads."""

from __future__ import annotations

import os

# Before any test imports torch or a Hugging Face library: the suite never asks
# a hub, and tokenizers must not warn about forks of the durability tests.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("LANGSMITH_TRACING", "false")

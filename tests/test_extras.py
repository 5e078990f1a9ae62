"""Each extra installs alone in a fresh environment, where `pip check` is clean and it works.

Too slow, and too hungry for disk and network, for every run: `make test-extras`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.extras

ROOT = Path(__file__).parent.parent
FAKE_MEMORY = """
from langchain_core.embeddings import DeterministicFakeEmbedding
from lte_chains import Edit, EditMemory
embeddings = DeterministicFakeEmbedding(size=8)
edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe")
"""
SEARCHED = """
from lte_chains.integrations.vector_stores import VectorStoreBridge
with EditMemory(VectorStoreBridge(":memory:", make), embeddings=embeddings) as memory:
    memory.add_edits([edit])
    assert memory.search_edits(edit.prompt)[0].edit.target_new == "Jane Doe"
"""
WORKS = {
    "": FAKE_MEMORY
    + """
import importlib, sys
with EditMemory.open(":memory:", embeddings=embeddings) as memory:
    memory.add_edits([edit])
    assert memory.search_edits(edit.prompt)[0].edit.target_new == "Jane Doe"
assert "torch" not in sys.modules
for name, extra in [("langchain_agents", "agents"), ("llama_index", "llama-index"), ("mcp", "mcp")]:
    try:
        importlib.import_module(f"lte_chains.integrations.{name}")
    except ImportError as error:
        assert f"lte-chains[{extra}]" in str(error), error
    else:
        raise AssertionError(f"{extra} was installed without being asked for")
""",
    "agents": "from lte_chains.integrations.langchain_agents import EditMemoryMiddleware",
    "chroma": FAKE_MEMORY
    + """
from langchain_chroma import Chroma
def make(namespace, given):
    return Chroma("edits", embedding_function=given)
"""
    + SEARCHED,
    "community": FAKE_MEMORY
    + """
import faiss
from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.vectorstores import FAISS
def make(namespace, given):
    return FAISS(given, faiss.IndexFlatIP(8), InMemoryDocstore(), {})
"""
    + SEARCHED,
    "harness": "from lm_eval import simple_evaluate; from lte_chains.evaluation import ability",
    "hf": """
from lte_chains import load_model
assert load_model("lte-tiny").invoke("What is the capital of France?").text
""",
    "llama-index": "from lte_chains.integrations.llama_index import EditableQueryEngine",
    "mcp": FAKE_MEMORY
    + """
from lte_chains.integrations.mcp import build_server
build_server(EditMemory.open(":memory:", embeddings=embeddings), allow=("propose",))
""",
    "offline": """
from lte_chains import Edit, EditMemory
with EditMemory.open(":memory:") as memory:
    memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
    assert memory.as_retriever().retrieve("Who is the CEO of Acme?")
""",
    "postgres": "import lte_chains.store.postgres",
    "train": "import lte_chains.training.align, lte_chains.training.pretrain, trl",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    subprocess.run([*command, folder, ROOT], check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


def test_every_extra_is_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(WORKS) == {"", *project["optional-dependencies"]} - {"all"}


@pytest.mark.parametrize("extra", WORKS, ids=lambda extra: extra or "none")
def test_extra_installs_alone_and_works(extra: str, wheel: Path, tmp_path: Path) -> None:
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}

    def run(*command: str) -> None:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    wanted = f"lte-chains[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv"))
    run(*pip, "install", "-q", "--no-compile", "-c", str(ROOT / "constraints.txt"), wanted)
    run(*pip, "check")
    run(python, "-c", WORKS[extra])

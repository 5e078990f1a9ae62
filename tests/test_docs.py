"""Every code block of the README and of docs/ runs, and prints what it says it prints.

Python blocks of one page share a namespace, from top to bottom; a run of
``# >`` lines must equal what the block has printed since the last such run.
In shell blocks, `lte-chains` commands run, `make` targets and `pip install`
extras must exist, as must the module and the recipe of ``python -m``; any other
command fails the test.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from typer.testing import CliRunner

from lte_chains.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
SHARED_STORE = "postgresql+psycopg://user:password@host/edits"
"""In pages: stands for the database that the tests start."""
NOT_CODE = {"mermaid", "text"}
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    """The line of the page on which the block's first line stands."""


class HostedModel(BaseChatModel):
    """Stands in for a paid model: it answers with the end of the first fact it reads.

    Asked to call a tool, it gives that answer as the tool's first argument.
    """

    @property
    def _llm_type(self) -> str:
        return "hosted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        tools: list[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        _, found, rest = messages[-1].text.partition("[Updated Information]:\n")
        answer = rest.splitlines()[0].partition(" is ")[2] if found else "I do not know."
        message = AIMessage(answer)
        if tools:
            tool = tools[0]["function"]
            arguments = {next(iter(tool["parameters"]["properties"])): answer}
            call = {"name": tool["name"], "args": arguments, "id": "call"}
            message = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=message)])

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[Any, AIMessage]:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)


def blocks_of(page: Path, stands_for: dict[str, str]) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        code = found[2]
        for written, real in stands_for.items():
            code = code.replace(written, real)
        yield Block(found[1], code, text.count("\n", 0, found.start(2)) + 1)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_run_as_written(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    knowedit_rows: list[dict[str, Any]],
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    stands_for = {}
    if SHARED_STORE in page.read_text(encoding="utf-8"):
        stands_for[SHARED_STORE] = request.getfixturevalue("postgres_url")
    monkeypatch.setattr("langchain.chat_models.init_chat_model", lambda name: HostedModel())
    (tmp_path / "zsre.json").write_text(json.dumps(knowedit_rows), encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page, stands_for):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        if block.language == "python":
            run_python(block, page, namespace)
        elif block.language == "bash":
            for command in block.text.replace("\\\n", " ").splitlines():
                run_command(shlex.split(command), where)
        else:
            assert block.language in NOT_CODE, f"{where}: how is {block.language!r} to be tested?"


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    """Run a block in pieces that end where its expected output stands."""
    lines = block.text.splitlines()
    printed = io.StringIO()
    start = 0
    while start < len(lines):
        end = start
        while end < len(lines) and not lines[end].startswith("# >"):
            end += 1
        after = end
        while after < len(lines) and lines[after].startswith("# >"):
            after += 1
        source = "\n" * (block.line - 1 + start) + "\n".join(lines[start:end])
        with contextlib.redirect_stdout(printed):
            exec(compile(source, str(page), "exec"), namespace)
        if after > end:
            expected = "".join(f"{line[3:].removeprefix(' ')}\n" for line in lines[end:after])
            assert printed.getvalue() == expected, f"{page.name}:{block.line + end}"
            printed.seek(0)
            printed.truncate()
        start = after


def run_command(words: list[str], where: str) -> None:
    match words:
        case []:
            return
        case ["lte-chains", *arguments]:
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, f"{where}: {' '.join(words)}\n{result.output}"
        case ["make", target, *_]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), where
        case ["pip", "install", *packages]:
            check_install([word for word in packages if word != "-e"], where)
        case ["python", "-m", module, *arguments]:
            assert find_spec(module), f"{where}: no module {module}"
            recipes = [word for word in arguments if word.endswith(".yaml")]
            assert all((ROOT / recipe).is_file() for recipe in recipes), f"{where}: {recipes}"
        case _:
            pytest.fail(f"{where}: no way to test {' '.join(words)!r}")


def check_install(packages: list[str], where: str) -> None:
    """Check that this package is installed with extras that it has, beside known others."""
    own, *others = packages
    found = re.fullmatch(r"(?:lte-chains|\.)(?:\[(.+)\])?", own)
    assert found, f"{where}: {own!r} is not this package"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {extra.strip() for extra in (found[1] or "").split(",")} - {""}
    assert wanted <= set(project["optional-dependencies"]), where
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert {line.partition("==")[0] for line in pinned} >= set(others), where

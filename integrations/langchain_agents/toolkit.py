"""EditMemoryToolkit: tools with which an agent reads a memory, and writes it if allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from langchain_core.runnables import run_in_executor
from langchain_core.tools import BaseTool, BaseToolkit, ToolException
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError

from lte_chains.actions import READ_ONLY, TOOL_NAMES, EditActions
from lte_chains.errors import ConfigError, InvalidEditError, UnknownEditError
from lte_chains.integrations.langchain_agents.run_options import config_of_run, context_of_run
from lte_chains.memory import EditMemory
from lte_chains.run_options import RunOptions


class _Arguments(BaseModel):
    # An argument that is not there, such as a namespace, is an error and not passed over.
    model_config = ConfigDict(extra="forbid")


class _Search(_Arguments):
    query: Annotated[str, Field(description="The question, in plain words.")]
    k: Annotated[int, Field(description="Most edits to return.", ge=1, le=50)] = 5


class _History(_Arguments):
    id: Annotated[str | None, Field(description="The edit's id; all edits if left out.")] = None
    limit: Annotated[
        int, Field(description="Most entries to return; the latest ones are.", ge=1, le=200)
    ] = 20


class _Write(_Arguments):
    prompt: Annotated[
        str,
        Field(description='An unfinished sentence or a question: "The CEO of Acme is".'),
    ]
    target_new: Annotated[str, Field(description='The answer that completes it: "Jane Doe".')]
    subject: Annotated[str | None, Field(description='What the fact is about: "Acme".')] = None
    relation: Annotated[str | None, Field(description='Which property of it changes: "CEO".')] = (
        None
    )


class _Retract(_Arguments):
    id: Annotated[str, Field(description="The edit's id, as a search or the history gave it.")]


_TOOLS: dict[str, tuple[str, type[_Arguments]]] = {
    "search": ("Find the knowledge edits nearest to a question, best first.", _Search),
    "history": (
        "Tell what happened to one knowledge edit, or to all of them, latest last.",
        _History,
    ),
    "add": (
        "Change one piece of knowledge: after the prompt, the answer is now the target.",
        _Write,
    ),
    "retract": ("Withdraw one knowledge edit: the model's own answer is back.", _Retract),
    "propose": (
        "Propose a change of one piece of knowledge, which waits until a person approves it.",
        _Write,
    ),
}


class EditMemoryTool(BaseTool):
    """One action on a memory, as a LangChain tool; `EditMemoryToolkit` makes them.

    Its results are JSON. What the memory refuses, such as an id that is not
    there, comes back as a tool message with the status "error".

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> EditMemoryTool.of("history", EditActions(memory)).invoke({})
        '[]'
    """

    action: str
    """Which action; a key of `lte_chains.actions.TOOL_NAMES`."""
    actions: EditActions = Field(exclude=True)
    """What is allowed, on which memory."""
    namespace_from_config: bool = False
    """Whether a run may choose the namespace."""
    handle_tool_error: Any = True  # LangChain's own type names functions, which mypy refuses

    @classmethod
    def of(
        cls, action: str, actions: EditActions, *, namespace_from_config: bool = False
    ) -> EditMemoryTool:
        """Return the tool for one of the allowed actions."""
        description, arguments = _TOOLS[action]
        return cls(
            name=TOOL_NAMES[action],
            description=description,
            args_schema=arguments,
            action=action,
            actions=actions,
            namespace_from_config=namespace_from_config,
        )

    def _run(self, *args: Any, **kwargs: Any) -> str:
        actions, options = self._for_run()
        with _refusals_as_answers():
            return _json(getattr(actions, self.action)(*args, **{**kwargs, **options}))

    async def _arun(self, *args: Any, **kwargs: Any) -> str:
        actions, options = self._for_run()
        with _refusals_as_answers():
            if self.action == "search":
                return _json(await actions.asearch(*args, **{**kwargs, **options}))
            return _json(
                await run_in_executor(None, getattr(actions, self.action), *args, **kwargs)
            )

    def _for_run(self) -> tuple[EditActions, dict[str, Any]]:
        """Return the actions on the namespace of the surrounding run, and when edits must hold."""
        options = RunOptions.from_config(config_of_run(context_of_run()))
        own = self.actions.memory.namespace
        chosen = options.chosen_namespace(
            "toolkit", serving=own, allowed=self.namespace_from_config
        )
        actions = self.actions if chosen is None else self.actions.in_namespace(chosen)
        return actions, {"at": options.at} if self.action == "search" else {}


class EditMemoryToolkit(BaseToolkit):
    """Tools over a memory for a LangChain agent: read-only, unless `actions` says otherwise.

    No argument of a tool names a namespace: the tools stay in the memory's own,
    or, with `namespace_from_config`, in the one that the run's config or
    runtime context names. ``lte_at`` of the run is the moment at which the edits
    of a search must hold.

    Instantiate:
        `EditMemoryToolkit(memory=memory)`, or with
        `actions=("search", "propose")`: what an agent proposes waits until the
        app calls `memory.approve`. "add" and "retract" write at once.

    Use:
        `create_agent(model, EditMemoryToolkit(memory=memory).get_tools())`.

    Async:
        Each tool has an asynchronous half that does not block the loop.

    Raises:
        ConfigError: An unknown action, or what is given is not an `EditMemory`.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> [tool.name for tool in EditMemoryToolkit(memory=memory).get_tools()]
        ['search_edits', 'edit_history']
        >>> toolkit = EditMemoryToolkit(memory=memory, actions=("add",))
        >>> [add] = toolkit.get_tools()
        >>> answer = add.invoke({"prompt": "The CEO of Acme is", "target_new": "Jane Doe"})
        >>> memory.edits()[0].descriptor, memory.edits()[0].source
        ('The CEO of Acme is Jane Doe', 'agent')
    """

    model_config = ConfigDict(extra="forbid")

    memory: InstanceOf[EditMemory] = Field(exclude=True)
    """Whose edits."""
    actions: tuple[str, ...] = READ_ONLY
    """What the agent may do: "search", "history", "add", "retract", "propose"."""
    namespace_from_config: bool = False
    """Whether a run may choose the namespace by ``lte_namespace``, in its config's
    ``configurable`` or its runtime context. Without it such a run is an error."""
    source: str | None = "agent"
    """The source of the edits that the tools write."""

    def __init__(self, **fields: Any) -> None:
        """Check the arguments."""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(f"EditMemoryToolkit cannot be built: {error}") from error
        self._edit_actions()

    def get_tools(self) -> list[BaseTool]:
        """Return one tool for each allowed action."""
        actions = self._edit_actions()
        return [
            EditMemoryTool.of(action, actions, namespace_from_config=self.namespace_from_config)
            for action in actions.allowed
        ]

    def _edit_actions(self) -> EditActions:
        return EditActions(self.memory, self.actions, self.source)


@contextmanager
def _refusals_as_answers() -> Iterator[None]:
    """Tell the model what was wrong with its call; what it cannot help goes to the app."""
    try:
        yield
    except (ConfigError, InvalidEditError, UnknownEditError) as error:
        raise ToolException(str(error)) from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

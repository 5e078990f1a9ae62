"""`lte-chains ask`: one question, answered with the edits that apply."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lte_chains.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    ModelOption,
    NamespaceOption,
    SeedOption,
    StoreOption,
    TopKOption,
    open_memory,
)
from lte_chains.cli.render import print_json


def ask(
    question: Annotated[str, typer.Argument(help="What to ask the model.")],
    model: ModelOption = "lte-tiny",
    adapter: Annotated[str | None, typer.Option(help="An LTE adapter to put on the model.")] = None,
    k: TopKOption = 3,
    seed: SeedOption = 0,
    store: StoreOption = DEFAULT_STORE,
    namespace: NamespaceOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Ask a local model; the answer goes to stdout, the edits used to stderr.

    Example: lte-chains ask "Who runs Acme?" --model lte-tiny
    """
    from lte_chains.editable_llm import EditableLLM
    from lte_chains.models import load_model

    with open_memory(store, namespace) as memory:
        llm = EditableLLM(
            llm=load_model(model, adapter=adapter, seed=seed), retriever=memory.as_retriever(k=k)
        )
        answer = llm.invoke(question)
        provenance: dict[str, Any] = answer.response_metadata["lte"]
        used = memory.get_edits([used["id"] for used in provenance["edits"]])
    if as_json:
        print_json({"question": question, "answer": answer.text, **provenance})
        return
    typer.echo(answer.text)
    for edit, entry in zip(used, provenance["edits"], strict=True):
        typer.echo(f"used {edit.descriptor!r} (score {entry['score']:.3f})", err=True)
    if not used:
        typer.echo("no edit applies: the model's own answer", err=True)

"""`lte-chains align`: make the rows that a model learns to apply edits from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lte_chains.cli import align_editors
from lte_chains.cli.options import JsonOption, SeedOption
from lte_chains.cli.render import print_json, print_table

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from lte_chains.training.parallel import ParallelCase, SourceFile
    from lte_chains.training.synthesis import ToWrite

group = typer.Typer(no_args_is_help=True, help="Make training rows for the alignment phase.")
group.command("editors")(align_editors.editors)
group.command("instruct-edit")(align_editors.instruct_edit)

_VARIANTS = ("edited", "unedited", "irrelevant")


def parse_shares(text: str) -> tuple[float, ...]:
    """Read shares such as ``50,25,25``; they are scaled to add up to 1.

    Example:
        >>> parse_shares("50,25,25")
        (0.5, 0.25, 0.25)
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} are not numbers with commas between") from None
    if min(numbers) < 0 or not sum(numbers):
        raise typer.BadParameter(f"{text!r} are no shares: none below 0, and not all 0")
    return tuple(number / sum(numbers) for number in numbers)


@group.command("data")
def data(
    sources: Annotated[
        list[Path],
        typer.Option(
            "--data", help="A file to make rows of; may be repeated.", exists=True, dir_okay=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.", file_okay=False)],
    held_out: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file to evaluate on: its edited subjects are left out; may be repeated.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    layout: Annotated[
        str, typer.Option(help="messages or prompt_completion (for TRL), or lte.")
    ] = "messages",
    extras: Annotated[
        Any,
        typer.Option(
            parser=parse_shares,
            metavar="SHARES",
            help="Shares of prompts with no other edit, one other, two others, …",
        ),
    ] = "50,25,25",
    irrelevant: Annotated[
        float, typer.Option(min=0, max=1, help="Rows with irrelevant edits only, as a share.")
    ] = 0.1,
    per_kind: Annotated[
        int, typer.Option(min=0, help="Most questions of a kind for one edit; 0 for all.")
    ] = 3,
    dev_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the subjects that are for dev.")
    ] = 0.02,
    out_of_scope: Annotated[
        bool, typer.Option(help="Include questions that the edit does not concern.")
    ] = True,
    shuffle: Annotated[bool, typer.Option(help="Let the edits stand in any order.")] = True,
    together: Annotated[
        bool, typer.Option("--together", help="Ask all questions of a case after the same edits.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use the first cases of every file only.")
    ] = None,
    original: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Ask this model for the unedited answers that no file tells."
        ),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Make parallel data: every question with its edit in front, and without it.

    Example: lte-chains align data --data train.json --held-out zsre.json --out parallel
    """
    from lte_chains.training.parallel import (
        ParallelConfig,
        answer_missing,
        build_parallel_data,
        subjects_of,
        write_data,
    )

    config = ParallelConfig(
        extras=extras,
        irrelevant=irrelevant,
        per_kind=per_kind or None,
        dev_share=dev_share,
        out_of_scope=out_of_scope,
        shuffle=shuffle,
        together=together,
        seed=seed,
    )
    read, used = _read(sources, limit=limit)
    withheld = [(path, _read([path])) for path in held_out or ()]
    if original is not None:
        read = answer_missing(read, chat_model(original))
    built = build_parallel_data(
        read,
        held_out=[s for path, (cases, _) in withheld for s in subjects_of(cases, name=path.name)],
        config=config,
    )
    files = [file for _, (_, described) in withheld for file in described]
    statistics = write_data(built, out, layout=layout, sources=used, held_out=files)
    if as_json:
        print_json(statistics)
    else:
        _show(statistics, out)


@group.command("synthesize")
def synthesize(
    edits: Annotated[
        Path,
        typer.Option(
            help="The edits: JSONL, or rows in any format that `align data` reads.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="JSONL to append to.", dir_okay=False)],
    writer: Annotated[
        str, typer.Option(metavar="MODEL", help="Writes: provider:model, a folder, or a hub id.")
    ],
    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Says whether what was written holds.")
    ] = None,
    per_edit: Annotated[int, typer.Option(min=1, help="Questions for one edit.")] = 3,
    attempts: Annotated[int, typer.Option(min=1, help="Most tries for one edit.")] = 3,
    concurrency: Annotated[int, typer.Option(min=1, help="Edits worked on at a time.")] = 8,
    only_estimate: Annotated[
        bool, typer.Option("--estimate", help="Estimate the tokens, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Start without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a chat model write free-text questions about edits, and keep those that hold.

    A run that was interrupted goes on where it stopped if it is started again.

    Example: lte-chains align synthesize --edits edits.jsonl --out text.jsonl --writer openai:gpt-5
    """
    from lte_chains.training.synthesis import SynthesisConfig, estimate
    from lte_chains.training.synthesis import synthesize as run

    items = _to_write(edits)
    config = SynthesisConfig(per_edit=per_edit, attempts=attempts, concurrency=concurrency)
    cost = estimate(items, out, config=config, judged=judge is not None)
    typer.echo(
        f"{cost.edits} edits to do: {cost.calls} calls, about {cost.input_tokens:,} tokens in and "
        f"{cost.output_tokens:,} out; up to {cost.worst} times that if tries fail",
        err=True,
    )
    if only_estimate:
        if as_json:
            print_json(asdict(cost))
        return
    if cost.edits and not yes:
        typer.confirm("Start?", abort=True, err=True)
    summary = run(
        items,
        out,
        writer=chat_model(writer),
        judge=None if judge is None else chat_model(judge),
        config=config,
    )
    if as_json:
        print_json(asdict(summary))
        return
    typer.echo(
        f"wrote {summary.questions} questions about {summary.finished} edits to {out}; "
        f"{summary.resumed} edits were done already, {summary.failed} failed"
    )


def _to_write(path: Path) -> list[ToWrite]:
    """Return the edits of a file, with their old answers where it tells them."""
    from lte_chains.interchange import edit_from_dict, read_rows
    from lte_chains.training.parallel import FORMATS, read_source
    from lte_chains.training.synthesis import ToWrite

    rows = [row for _, row in read_rows(path)]
    first = rows[0].keys() if rows and isinstance(rows[0], dict) else set()
    if not any(known.fields <= first for known in FORMATS):
        return [ToWrite(edit_from_dict(row)) for row in rows]
    items = []
    for case in read_source(path):
        old = {q.prompt: q.unedited for q in case.queries if q.kind == "rewrite"}
        items += [ToWrite(edit, old.get(edit.prompt)) for edit in case.edits]
    return items


def _read(
    paths: list[Path], *, limit: int | None = None
) -> tuple[list[ParallelCase], list[SourceFile]]:
    """Return the cases of files, and a description of each file."""
    from lte_chains.training.parallel import SourceFile, read_source

    cases, files = [], []
    for path in paths:
        read = read_source(path, limit=limit)
        cases += read
        files.append(SourceFile.of(path, len(read)))
    return cases, files


def _show(statistics: dict[str, Any], out: Path) -> None:
    train, dev = statistics["train"], statistics["dev"]
    for title, table in (("source", train["by_source"]), ("scope: kind", train["by_kind"])):
        print_table(
            f"train rows by {title}",
            (title, *_VARIANTS),
            ((name, *(counts.get(v, 0) for v in _VARIANTS)) for name, counts in table.items()),
        )
    print_table("edits in the prompt", ("edits", "rows"), train["facts"].items())
    print_table("left out", ("what", "how many"), statistics["left_out"].items())
    typer.echo(f"wrote {train['rows']} train and {dev['rows']} dev rows to {out}")


def chat_model(name: str) -> BaseChatModel:
    """Open a chat model: a provider's (``openai:gpt-5-mini``), else a local one.

    Raises:
        ConfigError: A provider's model is named, and LangChain cannot open it.
        ModelError: A local model cannot be loaded.
    """
    from lte_chains.errors import ConfigError

    if ":" not in name or Path(name).exists():
        from lte_chains.models import load_model

        return load_model(name)
    try:
        from langchain import chat_models

        model: BaseChatModel = chat_models.init_chat_model(name)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"LangChain cannot open {name!r}: {error}. Providers need "
            "`pip install langchain` and the provider's package, such as langchain-openai"
        ) from error
    return model

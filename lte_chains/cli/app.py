"""The command's root: its groups, its global options, and its exit codes."""

from __future__ import annotations

import io
import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from typer.core import TyperGroup

from lte_chains.cli import (
    align,
    align_train,
    ask,
    demo,
    edits,
    evaluate,
    evaluate_chains,
    mcp,
    migrate,
    proposals,
    upkeep,
)
from lte_chains.errors import LteError

EXIT_ERROR = 1
"""The command failed; why, and what to do about it, stands on stderr."""


class _ErrorsToStderr(TyperGroup):
    """Turns an `LteError` of any command, or the system's, into its message and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # who reads has enough
            raise
        except (LteError, OSError) as error:
            console = Console(stderr=True, soft_wrap=True, highlight=False)
            console.print(f"error: {error}", style="red", markup=False)
            raise typer.Exit(EXIT_ERROR) from error


app = typer.Typer(
    name="lte-chains",
    cls=_ErrorsToStderr,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed (the reason is on stderr), 2 wrong usage, "
    "3 the demo gave a wrong answer.",
)
for _command in (
    demo.demo,
    edits.add,
    edits.edits,
    edits.search,
    ask.ask,
    edits.retract,
    edits.history,
    edits.rollback,
    proposals.propose,
    proposals.pending,
    proposals.approve,
    proposals.reject,
    upkeep.backup,
    upkeep.restore,
    upkeep.doctor,
    mcp.mcp,
    migrate.migrate,
):
    app.command()(_command)
app.command("export")(edits.export_edits)
app.command("import")(edits.import_edits)
app.add_typer(evaluate.group, name="evaluate")
evaluate.group.command("chains")(evaluate_chains.chains)
align.group.command("train")(align_train.train)
app.add_typer(align.group, name="align")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lte-chains {version('lte-chains')}")
        raise typer.Exit


@app.callback()
def configure(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what happens, to stderr.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Edit what a language model knows: keep, search, apply and measure edits."""
    logger = logging.getLogger("lte_chains")
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    if not logger.handlers:
        logger.addHandler(RichHandler(console=Console(stderr=True), show_path=False))
    if not verbose:  # read by the Hugging Face libraries when a command imports them
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def main() -> None:
    """Run the command line; the entry point of the `lte-chains` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an edit may hold what a terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    app()

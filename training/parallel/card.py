"""The data card: what a reader of training rows has to know about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

VARIANTS = ("edited", "unedited", "irrelevant")

_CARD = """\
# Parallel data for knowledge editing

Made by `lte-chains align data`. Every question stands here with its edit in front (`edited`) and,
where the answer without it is known, alone (`unedited`): whoever learns from both learns to apply
an edit where it matters, and nowhere else (LTE, arXiv 2402.11905). `irrelevant` rows have only
edits in front that do not matter.

## Made of

{sources}

Licences are those of these files; look there before you pass the rows on.

## Held out

{held_out}

## Rows

train {train_rows:,}, about {train_tokens:,} tokens; dev {dev_rows:,}, about {dev_tokens:,} tokens.
No edited subject of dev occurs in train.

{by_source}

{by_kind}

Edits in front, over the edited rows of train:

{facts}

Place of the row's own edit where others stand beside it:

{place}

## Left out

{left_out}

## Settings

{config}

## Limits

- Other edits were drawn among those nearest to the question, less those that share a subject or a
  name with it. An edit about a step that a multi-hop question takes silently may still be among
  them, unless its source tells the steps (MQuAKE does).
- An answer that no source tells is not made up: such a question has no unedited row.
- Answers are worded as their sources word them: most are a few words.
"""


def render_card(
    statistics: Mapping[str, Any],
    *,
    sources: Sequence[tuple[str, int, str]],
    held_out: Sequence[tuple[str, int, str]],
) -> str:
    """Return the card as Markdown.

    Args:
        statistics: What `statistics.describe` returned.
        sources: (file name, cases, sha256) of what the rows were made of.
        held_out: The same of what they must not be evaluated on blindly.
    """
    train, dev = statistics["train"], statistics["dev"]
    header = ("file", "cases", "sha256")
    return _CARD.format(
        sources=_markdown(header, sources) if sources else "Not recorded.",
        held_out=_held_out(header, held_out),
        train_rows=train["rows"],
        train_tokens=train["tokens"],
        dev_rows=dev["rows"],
        dev_tokens=dev["tokens"],
        by_source=_by_variant("source", train["by_source"]),
        by_kind=_by_variant("scope: kind", train["by_kind"]),
        facts=_markdown(("edits", "rows"), train["facts"].items()),
        place=_markdown(("place", "rows"), train["place"].items()),
        left_out=_markdown(("what", "how many"), statistics["left_out"].items()),
        config=_markdown(("setting", "value"), statistics["config"].items()),
    )


def _held_out(header: Sequence[str], files: Sequence[tuple[str, int, str]]) -> str:
    if not files:
        return "Nothing: do not evaluate on rows that share subjects with these."
    return (
        "Nothing that mentions an edited subject of these files is in train or dev:\n\n"
        + _markdown(header, files)
    )


def _by_variant(name: str, table: Mapping[str, Mapping[str, int]]) -> str:
    rows = [(row, *(counts.get(v, 0) for v in VARIANTS)) for row, counts in table.items()]
    return _markdown((name, *VARIANTS), rows)


def _markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")

"""Edits and their matches: the frozen values that everything else passes around."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, NoReturn

from lte_chains.errors import InvalidEditError

MAX_EDIT_CHARS = 32_768
"""Longest descriptor, and longest other field, an edit may have, in characters."""
MAX_ALIASES = 64
"""Most aliases that an edit may have."""
_INSTRUCTION_MARK = "\x1d"
"""Begins the slot of an instruction; normalised text begins with no such character."""
_APOSTROPHES, _DOUBLE_QUOTES = "’‘ʼ‛", "“”„‟«»"
_QUOTES = str.maketrans(dict.fromkeys(_APOSTROPHES, "'") | dict.fromkeys(_DOUBLE_QUOTES, '"'))
_SETTING = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
"""Characters that only say how others are set: joiners, directions, possible breaks."""
_INVISIBLE = re.compile(f"[{_SETTING}]")
_FOLDED = re.compile(f"[{_APOSTROPHES}{_DOUBLE_QUOTES}{_SETTING}]")
_NO_FACTS_SLOT = re.compile("[\x1c-\x1e]|\x1f.*\x1f", re.DOTALL)
"""Found in no slot of a fact: marks of other slots, and more than a subject and a relation."""


class _ReadOnlyDict(dict[str, Any]):
    """A dict that refuses changes; unlike a mapping proxy it can be copied, pickled and dumped."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(
            "an edit is frozen: make another with dataclasses.replace(edit, metadata=…)"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[_ReadOnlyDict], tuple[dict[str, Any]]]:
        return type(self), (dict(self),)


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change of knowledge: after `prompt`, the answer is now `target_new`.

    Field names follow KnowEdit and EasyEdit (arXiv 2401.01286). Either give
    `prompt` and `target_new`, or give a free-text `statement` through
    `from_statement`, or an `instruction` about a subject or a question.

    Raises:
        InvalidEditError: A field is empty, blank, too long, or holds a NUL
            byte, or the validity is empty or has no time zone.

    Example:
        >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme")
        >>> edit.descriptor
        'The CEO of Acme is Jane Doe'
        >>> Edit(subject="Acme", instruction="Speak well of it.").descriptor
        'About Acme: Speak well of it.'
    """

    prompt: str = ""
    """The text that the new answer completes; a question or an unfinished sentence."""
    target_new: str = ""
    """The new answer."""
    subject: str | None = None
    """The entity that the edit is about."""
    relation: str | None = None
    """The property of the subject that changes; with `subject` it names the slot."""
    statement: str | None = None
    """A free-text fact, in place of `prompt` and `target_new`."""
    instruction: str | None = None
    """How to answer, in place of `target_new` or `statement`: a sentiment, a style, or that the
    answer is not known. It concerns whatever names the `subject`, or what asks the `prompt`."""
    valid_from: datetime | None = None
    """First moment at which the edit holds; None means always."""
    valid_until: datetime | None = None
    """First moment at which it no longer holds; None means without end."""
    source: str | None = None
    """Where the change comes from: a URL, a ticket, a person."""
    aliases: tuple[str, ...] = ()
    """Other names of the subject, under which the edit is found too. An edit that takes its place
    has its own only: give them again with it."""
    many_valued: bool | None = None
    """Whether the slot holds many values, so that a later one adds instead of replacing; None
    leaves that to the relation, see `lte_chains.relations`."""
    matched_slot: str | None = None
    """The slot that a matcher found for free text without a subject and a relation; set by
    `EditMemory.add_matched`, and passed over where an edit has a slot of its own."""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """JSON values of the caller's own, kept verbatim."""
    id: str | None = None
    """The edit's id in its namespace; the memory gives one if it is None."""
    namespace: str | None = None
    """The namespace that holds it; set by the memory."""
    version: int | None = None
    """1 for the first text stored under this id, then 2, …; set by the memory."""
    revision: int | None = None
    """The memory's revision that wrote this version; set by the memory."""

    def __post_init__(self) -> None:
        """Check every field; see the class for what is refused."""
        if self.instruction is not None:
            self._check_instruction()
        elif self.statement is None:
            _require_text("prompt", self.prompt)
            _require_text("target_new", self.target_new)
        else:
            _require_text("statement", self.statement)
            if (self.prompt, self.target_new) != ("", ""):
                raise InvalidEditError(
                    "an edit has either a statement or a prompt with its target_new, not both: "
                    f"statement={_shorten(self.statement)!r}, prompt={_shorten(self.prompt)!r}"
                )
        for name in ("subject", "relation", "source", "id"):
            value = getattr(self, name)
            if value is not None:
                _require_text(name, value)
                _require_length(name, value)
        _require_length("an edit", self.descriptor)
        if self.many_valued is not None and not isinstance(self.many_valued, bool):
            raise InvalidEditError(f"many_valued must be a bool or None, not {self.many_valued!r}")
        if not isinstance(self.metadata, Mapping):
            raise InvalidEditError(f"metadata must be a mapping, not {self.metadata!r}")
        # Not by the attributes, which are frozen.
        vars(self).update(
            aliases=_as_aliases(self.aliases, self.subject),
            matched_slot=self._checked_matched_slot(),
            metadata=_ReadOnlyDict(self.metadata),
            valid_from=_as_moment("valid_from", self.valid_from),
            valid_until=_as_moment("valid_until", self.valid_until),
        )
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise InvalidEditError(
                f"valid_from {self.valid_from.isoformat()} is not before valid_until "
                f"{self.valid_until.isoformat()}: the edit would never hold"
            )

    def _checked_matched_slot(self) -> str | None:
        slot = self.matched_slot
        if slot is None or self.statement is None:
            return None
        if self.subject is not None and self.relation is not None:
            return None
        _require_text("matched_slot", slot)
        _require_length("matched_slot", slot)
        if _NO_FACTS_SLOT.search(slot):
            raise InvalidEditError(f"matched_slot is no slot of a fact: {_shorten(slot)!r}")
        return slot

    def _check_instruction(self) -> None:
        _require_text("instruction", self.instruction)
        if self.statement is not None or self.target_new != "":
            told = self.statement if self.statement is not None else self.target_new
            raise InvalidEditError(
                "an edit has either an instruction or a fact, not both: make two edits of "
                f"instruction={_shorten(self.instruction)!r} and {_shorten(told)!r}"
            )
        if self.prompt != "":
            _require_text("prompt", self.prompt)
        elif self.subject is None:
            raise InvalidEditError(
                f"nothing says what instruction={_shorten(self.instruction)!r} is about: "
                "give a subject, or the prompt of a question"
            )
        if self.many_valued:
            raise InvalidEditError(
                "an instruction takes the place of the one before it: name aspects by "
                "relation=… to keep several, and leave many_valued out"
            )

    @classmethod
    def from_statement(cls, statement: str, **fields: Any) -> Edit:
        """Make an edit from a free-text fact; it has a slot only if `fields` give one.

        Example:
            >>> Edit.from_statement("Acme moved to Lisbon in 2026.").descriptor
            'Acme moved to Lisbon in 2026.'
        """
        _require_text("statement", statement)
        return cls(statement=statement, **fields)

    @property
    def descriptor(self) -> str:
        """The text a model reads: the statement, or prompt and target in one line."""
        if self.instruction is not None:
            about = f'Asked "{self.prompt}"' if self.prompt else f"About {self.subject}"
            return f"{about}: {self.instruction}"
        if self.statement is not None:
            return self.statement
        return f"{self.prompt} {self.target_new}"

    @property
    def slot(self) -> str | None:
        """The thing this edit sets, as a normalised key; None for free text without one.

        (subject, relation) if both are given, else the normalised prompt; of free
        text the slot that a matcher found for it.
        Instructions have slots of their own, and without a prompt that of their
        subject: an instruction never takes the place of a fact, nor the other
        way round.
        """
        if self.instruction is not None:
            about = slot_of(self.subject, self.relation, self.prompt or self.subject)
            return None if about is None else f"{_INSTRUCTION_MARK}{about}"
        if self.matched_slot is not None:
            return self.matched_slot
        prompt = self.prompt if self.statement is None else None
        return slot_of(self.subject, self.relation, prompt)

    @property
    def dated(self) -> str:
        """The descriptor, with the dates between which the edit holds, if it has any.

        Example:
            >>> Edit(prompt="Acme's CEO is", target_new="Jo", valid_from=date(2026, 5, 1)).dated
            "Acme's CEO is Jo (from 2026-05-01)"
        """
        dates = [
            f"{word} {_spell(moment)}"
            for word, moment in (("from", self.valid_from), ("until", self.valid_until))
            if moment is not None
        ]
        return f"{self.descriptor} ({' '.join(dates)})" if dates else self.descriptor


@dataclass(frozen=True)
class EditMatch:
    """An edit that was found for a query.

    Example:
        >>> match = EditMatch(edit=Edit(prompt="2 + 2 is", target_new="5"), score=0.9)
        >>> match.in_scope, match.hop
        (True, 0)
    """

    edit: Edit
    score: float
    """How well the edit fits the query; the scale is the scope gate's (cosine by default)."""
    in_scope: bool = True
    """Whether the gate holds that the query's answer depends on the edit."""
    hop: int = 0
    """0 if the query named the edit's subject, n if n earlier edits led to it."""


def normalise(text: str) -> str:
    """Fold case, Unicode form, quotes, white space and closing punctuation of a slot's text.

    Example:
        >>> normalise("  The CEO of  ACME is: "), normalise("Who runs Moody’s?")
        ('the ceo of acme is', "who runs moody's")
    """
    return " ".join(fold(text).split()).rstrip('?:.!…。" ')


def fold(text: str) -> str:
    """Return a text without its case, in one Unicode form, with one kind of quotes, all visible.

    Example:
        >>> fold("MOODY’S"), fold("“Ulysses”")
        ("moody's", '"ulysses"')
    """
    if text.isascii():
        return text.casefold()
    folded = unicodedata.normalize("NFKC", text).casefold()
    if _FOLDED.search(folded) is None:
        return folded
    return _INVISIBLE.sub("", folded.translate(_QUOTES))


def slot_of(subject: str | None, relation: str | None, prompt: str | None) -> str | None:
    """Return the slot of a subject and a relation, or of a prompt if one of them is missing.

    Example:
        >>> slot_of("Acme", None, "Who runs Acme?")
        'who runs acme'
    """
    if subject is not None and relation is not None:
        return f"{normalise(subject)}\x1f{normalise(relation)}"
    return None if prompt is None else normalise(prompt)


def _require_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidEditError(f"{name} must be a string, not {type(value).__name__}: {value!r}")
    if "\x00" in value:
        raise InvalidEditError(f"{name} holds a NUL byte: {_shorten(value)!r}. Remove it")
    if value.isprintable() and value.strip():
        return
    # Invisible characters are no text either: the prompt is rendered without them.
    if not any(char.isprintable() and not char.isspace() for char in value):
        raise InvalidEditError(f"{name} is empty: {_shorten(value)!r}. An edit needs text there")


def _require_length(name: str, text: str) -> None:
    if len(text) > MAX_EDIT_CHARS:
        raise InvalidEditError(
            f"{name} of {len(text):,} characters is too long (at most {MAX_EDIT_CHARS:,}): "
            "an edit is one fact; split the text into several edits"
        )


def _as_moment(name: str, value: object) -> datetime | None:
    """Return `value` in UTC; a date is its first moment in UTC."""
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidEditError(
                f"{name}={value.isoformat()} has no time zone: "
                "write datetime(…, tzinfo=timezone.utc), or give a date"
            )
        try:
            return value.astimezone(UTC)
        except OverflowError as error:
            raise InvalidEditError(f"{name}={value.isoformat()} has no time in UTC") from error
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise InvalidEditError(f"{name} must be a date or a datetime, not {value!r}")


def _as_aliases(value: object, subject: str | None) -> tuple[str, ...]:
    """Return aliases as a tuple, each once."""
    if value == ():
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidEditError(f"aliases must be a list of names, not {value!r}")
    given = list(value)
    for name in given:
        _require_text("an alias", name)
        _require_length("an alias", name)
    names = tuple(dict.fromkeys(given))
    if not names:
        return ()
    if subject is None:
        raise InvalidEditError(
            f"aliases are other names of the subject, and there is none: give subject=… beside "
            f"aliases={names!r}"
        )
    if len(names) > MAX_ALIASES:
        raise InvalidEditError(
            f"{len(names)} aliases are too many (at most {MAX_ALIASES}): each is indexed"
        )
    return names


def _spell(moment: datetime) -> str:
    """Write a moment as a date, with the time where it is not the first of the day."""
    if moment.time() == time():
        return f"{moment:%Y-%m-%d}"
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _shorten(value: object, width: int = 80) -> str:
    text = str(value)
    return text if len(text) <= width else f"{text[:width]}…"

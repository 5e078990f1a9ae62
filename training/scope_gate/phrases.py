"""Turn a question into a description of its answer: "Who directed X?", "the person who directed X".

Descriptions are what questions of several hops are made of. The rules cover how
English asks for a property; a form that fits none gives no description.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_PAST = {
    "attend": "attended", "be": "was", "come": "came", "die": "died", "fight": "fought",
    "get": "got", "give": "gave", "go": "went", "have": "had", "hold": "held", "marry": "married",
    "pass": "passed", "perform": "performed", "play": "played", "receive": "received",
    "serve": "served", "stand": "stood", "study": "studied", "suffer": "suffered", "take": "took",
    "work": "worked", "write": "wrote",
}  # fmt: skip
_THIRD = {"do": "does", "have": "has", "go": "goes", "study": "studies", "fly": "flies"}
_BE = "is|was|are|were"
_NOUN = r"(?P<noun>(?!of |name |is |was |are |were )[a-z][\w /-]*?)"
_PLACE_OR_TIME = {"where": ("the place where", "the town where"), "when": ("the year when",)}


def descriptions(form: str, nouns: Sequence[str]) -> tuple[str, ...]:
    """Return descriptions of what a form asks for, each with `{s}` in the subject's place.

    Args:
        form: A question or the beginning of a statement, with one `{s}`.
        nouns: What such an answer may be called ("person").

    Example:
        >>> descriptions("Who directed {s}?", ["person"])
        ('the person who directed {s}',)
        >>> descriptions("In which city was {s} born?", ["place"])
        ('the city in which {s} was born', 'the city where {s} was born')
        >>> descriptions("The mother of {s} is", ["person"])
        ('the mother of {s}', "{s}'s mother")
    """
    text = form.strip().rstrip("?.").strip()
    for pattern, make in _RULES:
        found = re.fullmatch(pattern, text, flags=re.IGNORECASE)
        if found:
            return tuple(dict.fromkeys(make(found, nouns)))
    return ()


def _of(found: re.Match[str], _nouns: Sequence[str]) -> list[str]:
    """Describe for "The mother of {s} is" and "What is the mother of {s}"."""
    noun, rest = found["noun"], found["rest"] or ""
    if rest or noun.startswith(("name", "year", "person", "place")):
        return [f"the {noun} of {{s}}{rest}"]
    return [f"the {noun} of {{s}}", f"{{s}}'s {noun}"]


def _possessive(found: re.Match[str], _nouns: Sequence[str]) -> list[str]:
    return [f"{{s}}'s {found['noun']}", f"the {found['noun']} of {{s}}"]


def _who(found: re.Match[str], nouns: Sequence[str]) -> list[str]:
    return [f"the {noun} who {found['rest']}" for noun in nouns if noun == "person"] or [
        f"the {noun} that {found['rest']}" for noun in nouns
    ]


def _which(found: re.Match[str], _nouns: Sequence[str]) -> list[str]:
    return [f"the {found['noun']} that {found['rest']}"]


def _which_be(found: re.Match[str], _nouns: Sequence[str]) -> list[str]:
    be, rest = found["be"].lower(), found["rest"]
    before = found.groupdict().get("before")
    if before:
        first = f"the {found['noun']} {before.lower()} which {{s}} {be}{rest}"
        return [first, f"the {found['noun']} where {{s}} {be}{rest}"] if before == "In" else [first]
    return [f"the {found['noun']} {{s}} {be}{rest}"]


def _which_do(found: re.Match[str], _nouns: Sequence[str]) -> list[str]:
    clause = _declined(found)
    before = found.groupdict().get("before")
    if not clause:
        return []
    link = f" {before.lower()} which" if before else ""
    return [f"the {found['noun']}{link} {clause}"]


def _adverb_be(found: re.Match[str], nouns: Sequence[str]) -> list[str]:
    openings = _openings(found["word"], nouns)
    return [f"{opening} {{s}} {found['be'].lower()}{found['rest']}" for opening in openings]


def _adverb_do(found: re.Match[str], nouns: Sequence[str]) -> list[str]:
    clause = _declined(found)
    return [f"{opening} {clause}" for opening in _openings(found["word"], nouns)] if clause else []


def _passive(found: re.Match[str], nouns: Sequence[str]) -> list[str]:
    return [f"the {noun} {{s}} {found['rest']}" for noun in nouns if noun not in ("one",)]


def _openings(word: str, nouns: Sequence[str]) -> tuple[str, ...]:
    if word.lower() == "when":
        return tuple(f"the {noun} when" for noun in nouns if noun in ("date", "day", "year"))
    if word.lower() == "who" or word.lower() == "whom":
        return ("the person",)
    return _PLACE_OR_TIME.get(word.lower(), ())


def _declined(found: re.Match[str]) -> str | None:
    """Return "{s} plays for" for "does {s} play for"; None if the verb's form is not known."""
    verb, rest = found["verb"], found["rest"]
    if found["do"].lower() == "did":
        past = _PAST.get(verb)
        return f"{{s}} {past}{rest}" if past else None
    third = _THIRD.get(verb) or (
        verb + "es" if verb.endswith(("s", "sh", "ch", "x")) else verb + "s"
    )
    return f"{{s}} {third if found['do'].lower() == 'does' else verb}{rest}"


_DO = r"(?P<do>does|did|do) \{s\} (?P<verb>\w+)(?P<rest>.*)"
_WHICH = r"(?:which|what)"
_ACTS = "makes|made|wrote|built|runs|has|put"
_BEFORE = r"(?P<before>in|on|at|for|from|under|by|during) "

_RULES: tuple[tuple[str, Callable[[re.Match[str], Sequence[str]], list[str]]], ...] = (
    (rf"(?:the )?name of the {_NOUN} of \{{s\}}(?P<rest>) (?:{_BE})", _of),
    (rf"the {_NOUN} of \{{s\}}(?P<rest>)(?: (?:{_BE})(?: in)?)?", _of),
    (rf"(?:who|what|which) (?:{_BE}) the name of the {_NOUN} of \{{s\}}(?P<rest>)", _of),
    (rf"(?:who|what|which|where) (?:{_BE}) the {_NOUN} of \{{s\}}(?P<rest>)", _of),
    (rf"(?:who|what|which|where) (?:{_BE}) the name of \{{s\}}'s {_NOUN}", _possessive),
    (rf"(?:who|what|which|where) (?:{_BE}) \{{s\}}'s {_NOUN}", _possessive),
    (rf"\{{s\}}'s {_NOUN} (?:{_BE})(?: who| what)?", _possessive),
    (rf"(?P<word>where|when|who) (?P<be>{_BE}) \{{s\}}(?P<rest> .+)", _adverb_be),
    (rf"(?P<word>where|when|who|whom) {_DO}", _adverb_do),
    (rf"{_BEFORE}{_WHICH} {_NOUN} (?P<be>{_BE}) \{{s\}}(?P<rest>.*)", _which_be),
    (rf"{_BEFORE}{_WHICH} {_NOUN} {_DO}", _which_do),
    (rf"{_WHICH} {_NOUN} (?P<be>{_BE}) \{{s\}}(?P<rest>(?!').*)", _which_be),
    (rf"{_WHICH} {_NOUN} {_DO}", _which_do),
    (rf"who (?P<rest>(?!{_BE}|do)\w+ \{{s\}}.*)", _who),
    (rf"who (?P<rest>(?!{_BE}|do)\w+ (?:in|for|of|up|with|the \w+ (?:of|for)) \{{s\}}.*)", _who),
    (rf"{_WHICH} {_NOUN} (?P<rest>(?:\w+ed|{_ACTS}) \{{s\}}.*)", _which),
    (r"\{s\} (?P<rest>(?:is|was) \w+ by)", _passive),
)  # fmt: skip

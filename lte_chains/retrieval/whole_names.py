"""Where a text means a name by a word, and not a part of a longer name or an ordinary word.

`mentions` finds the words of a name, whatever their case. Here "Acme" is not
found in "Acme Foods", nor "May" in "How may I help?". What tells is how the
words are written, so in a text that is all capitals little can be told.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from lte_chains.retrieval.mentions import Span, holds_name, name_places, words_of
from lte_chains.retrieval.ordinary_words import DATE_WORDS, is_ordinary

_HYPHEN = re.compile(r"(?<=\w)[-‐](?=\w)")
SENTENCE_MARKS = frozenset('.!?:;"“”(')
_MONTHS = frozenset({"may", "march"})
"""Months that are ordinary words too, and so no sign of a date."""
_DATES = DATE_WORDS - _MONTHS
_BEFORE_DATES = frozenset(words_of("in since until during last next early late"))
_TITLES = frozenset(
    words_of(
        "the a an mr mrs ms miss dr prof professor sir dame lord lady king queen prince princess "
        "emperor pope president chancellor minister premier senator governor mayor judge justice "
        "captain colonel general admiral secretary ambassador chairman chairwoman chair ceo cfo "
        "cto coo director founder i"
    )
)
"""What stands before a name without being part of it."""
LEGAL_FORMS = frozenset(
    words_of(
        "inc incorporated corp corporation co company ltd limited llc llp plc gmbh ag se sa nv bv "
        "ab oy spa kg"
    )
)
_ADDITIONS = LEGAL_FORMS | frozenset(
    words_of(
        "ceo cfo cto coo chief president vice chairman chairwoman chairperson chair founder "
        "director minister prime mayor i"
    )
)
"""What stands after a name without making it another: legal forms and offices."""
_NEVER_CAPITALISED = frozenset(
    words_of(
        "is are was were do does did has have had what who whom how when where why which you your "
        "my me our their to with from about there"
    )
)
"""Words that are capitalised inside a sentence only where every word is."""
_AFTER_VERBS = frozenset(
    words_of(
        "i you he she we they it me us him them the a an my your his her its our their this that "
        "these those not all any every each some everyone anyone there"
    )
)
"""What follows a word that opens a sentence as a verb: "May I", "Mark the"."""
_MODALS = frozenset({"may", "might", "will", "can", "must"})
_AFTER_NAMES = frozenset(words_of("is was has had does did will would could should can may might"))


def find_whole_name(words: Sequence[str], name: str) -> Span | None:
    """Return the first place at which words mean a name and no longer one; None if nowhere.

    Example:
        >>> find_whole_name(words_of("Acme Foods is no part of acme."), "Acme")
        Span(start=6, end=7)
    """
    places = list(name_places(words, name))
    telling = not places or capitals_tell(words)
    for span in places:
        if _is_meant(words, span, name, telling) and not (telling and _is_part(words, span)):
            return span
    return None


def holds_whole_name(text: str, name: str) -> bool:
    """Tell whether a text means a name by some of its words, on one line or over several.

    Example:
        >>> holds_whole_name("How may I help?", "May"), holds_whole_name("Is May here?", "May")
        (False, True)
    """
    text, name = plain(text), plain(name)
    if not holds_name(text, name):
        return False
    lines = text.splitlines()
    if len(lines) > 1 and " " in name:
        lines.append(text)
    return any(find_whole_name(words_of(line), name) for line in lines)


def plain(text: str) -> str:
    """Return a text with its characters in one form, and compounds as words of their own.

    Example:
        >>> plain("an Acme-owned ﬁrm")
        'an Acme owned firm'
    """
    return _HYPHEN.sub(" ", unicodedata.normalize("NFKC", text))


def capitals_tell(words: Sequence[str]) -> bool:
    """Tell whether a text is written neither in capitals nor as a headline."""
    if not any(letter.islower() for word in words for letter in word):
        return False
    return not any(
        word[0].isupper() and word.casefold() in _NEVER_CAPITALISED and not _opens(words, place)
        for place, word in enumerate(words)
    )


def _opens(words: Sequence[str], place: int) -> bool:
    """Tell whether a word is the first of a sentence."""
    return place == 0 or words[place - 1] in SENTENCE_MARKS


def _is_part(words: Sequence[str], span: Span) -> bool:
    """Tell whether a longer capitalised name goes on before or after a span."""
    first, last = words[span.start], words[span.end - 1]
    return (_has_capital(last) and _goes_on(words, span.end)) or (
        _has_capital(first) and _has_begun(words, span.start - 1)
    )


def _goes_on(words: Sequence[str], place: int) -> bool:
    if place < len(words) and words[place] == "&":
        place += 1
    if place >= len(words) or not words[place][0].isupper():
        return False
    word = words[place].casefold()
    return not (word in _DATES or word in _ADDITIONS or _is_said_of(words, place))


def _is_said_of(words: Sequence[str], place: int) -> bool:
    """Tell whether a word is what a short question asks of a name: "Is Acme Swedish?"."""
    start = max((p for p in range(place) if _opens(words, p)), default=0)
    asks = words[start].casefold() in {"is", "was", "are", "were"}
    return asks and words[place + 1 : place + 2] in (["?"], [])


def _has_begun(words: Sequence[str], place: int) -> bool:
    if place > 0 and words[place] == "&":
        place -= 1
    if place < 0 or not words[place][0].isupper():
        return False
    word = words[place].casefold()
    opens = _opens(words, place) and is_ordinary(word)
    return not (word in _DATES or word in _TITLES or opens)


def _has_capital(word: str) -> bool:
    return any(letter.isupper() for letter in word)


def _is_meant(words: Sequence[str], span: Span, name: str, telling: bool) -> bool:
    """Tell whether a single ordinary word is written, and stands, as a name; else True."""
    word = words[span.start]
    if span.end - span.start > 1 or not is_ordinary(word):
        return True
    own = next((part for part in words_of(name) if part.casefold() == word.casefold()), word)
    if not _has_capital(own):
        return True
    letters = zip(own, word, strict=False)
    if any(mine.isupper() and not theirs.isupper() for mine, theirs in letters):
        return False
    before = words[span.start - 1] if span.start else ""
    after = words[span.end] if span.end < len(words) else ""
    if word.casefold() in _MONTHS and (
        before.casefold() in _BEFORE_DATES or before[:1].isdigit() or after[:1].isdigit()
    ):
        return False
    if telling and not _opens(words, span.start):
        return True
    return not _is_verb(words, span.start)


def _is_verb(words: Sequence[str], place: int) -> bool:
    """Tell whether a capitalised ordinary word that may be a verb is one."""
    following = words[place + 1 : place + 2]
    if not following or not following[0].isalnum():
        return False
    if following[0].casefold() in _AFTER_VERBS:
        return True
    end = next((word for word in words[place:] if word in ".!?"), "")
    asks = words[place].casefold() in _MODALS and end == "?"
    return asks and following[0].casefold() not in _AFTER_NAMES

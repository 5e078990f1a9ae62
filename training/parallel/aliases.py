"""Other names of a subject, made from its name by rule."""

from __future__ import annotations

import random

_NO_NAME = frozenset({"a", "an", "and", "de", "der", "for", "in", "of", "on", "the", "to", "von"})


def made_up_aliases(name: str) -> tuple[str, ...]:
    """Return what else a name may be called: initials, a part of it, another order.

    Example:
        >>> made_up_aliases("John Quincy Adams")
        ('Adams', 'J. Adams', 'Adams, John Quincy', 'John Adams', 'JQA')
        >>> made_up_aliases("Acme (company)")
        ('Acme',)
        >>> made_up_aliases("Oslo")
        ()
    """
    short = name.split(" (")[0].strip()
    words = short.split()
    telling = [word for word in words if word.casefold() not in _NO_NAME]
    found = [] if short == name else [short]
    if len(telling) > 1:
        first, last = telling[0], telling[-1]
        found += [last, f"{first[0]}. {last}", f"{last}, {' '.join(words[:-1])}"]
    if len(telling) > 2:
        found += [f"{telling[0]} {telling[-1]}", "".join(word[0] for word in telling).upper()]
    return tuple(alias for alias in dict.fromkeys(found) if alias != name and len(alias) > 1)


def draw_alias(name: str, rng: random.Random) -> str:
    """Draw another name; one word of it, or the name with an article, where no rule applies."""
    known = made_up_aliases(name)
    return rng.choice(known) if known else f"the {name}"

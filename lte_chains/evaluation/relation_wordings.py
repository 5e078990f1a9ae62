"""How facts of common relations are said: as an edit's prompt, and inside a longer question.

Wikidata's property ids are the keys. The phrases differ from the prompt, as
people's questions do: "the city where Jo was born" asks for what "The birthplace
of Jo is" states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lte_chains.errors import ConfigError


@dataclass(frozen=True)
class Wording:
    """One relation in words; ``{}`` stands for the subject.

    Raises:
        ConfigError: A text does not have exactly one ``{}``.

    Example:
        >>> Wording("capital", "The capital of {} is", ("the capital of {}",)).label
        'capital'
    """

    label: str
    """The relation's name; an edit of it carries this as its relation."""
    prompt: str
    """What the edit says before its target."""
    phrases: tuple[str, ...]
    """Noun phrases for the object, from which questions are composed."""

    def __post_init__(self) -> None:
        """Check the places for the subject."""
        for text in (self.prompt, *self.phrases):
            if text.count("{}") != 1:
                raise ConfigError(f"a wording needs one place for its subject, {{}}: {text!r}")


def wording_of(relation: str, label: str | None = None) -> Wording:
    """Return how a relation is said; by its label, or its own name, if it is not a common one.

    Example:
        >>> wording_of("P36").prompt
        'The capital of {} is'
        >>> wording_of("head coach").phrases
        ('the head coach of {}',)
    """
    known = COMMON.get(relation)
    if known is not None:
        return known
    name = (label or relation).replace("{", "(").replace("}", ")")
    return Wording(name, f"The {name} of {{}} is", (f"the {name} of {{}}",))


COMMON: Mapping[str, Wording] = MappingProxyType(
    {
        "P17": Wording(
            "country",
            "{} lies in the country of",
            ("the country that {} is located in", "the country of {}", "the nation {} belongs to"),
        ),
        "P19": Wording(
            "place of birth",
            "The birthplace of {} is",
            ("the place where {} was born", "the birthplace of {}", "{}'s place of birth"),
        ),
        "P20": Wording(
            "place of death",
            "{} died in",
            ("the place where {} died", "the place of death of {}", "{}'s place of death"),
        ),
        "P22": Wording("father", "The father of {} is", ("the father of {}", "{}'s father")),
        "P25": Wording("mother", "The mother of {} is", ("the mother of {}", "{}'s mother")),
        "P26": Wording(
            "spouse",
            "The spouse of {} is",
            ("the spouse of {}", "{}'s spouse", "the person {} is married to"),
        ),
        "P27": Wording(
            "country of citizenship",
            "{} is a citizen of",
            (
                "the country that {} is a citizen of",
                "the country of citizenship of {}",
                "the country whose citizenship {} holds",
            ),
        ),
        "P30": Wording(
            "continent",
            "{} belongs to the continent of",
            ("the continent of {}", "the continent on which {} lies"),
        ),
        "P36": Wording(
            "capital",
            "The capital of {} is",
            ("the capital of {}", "{}'s capital", "the capital city of {}"),
        ),
        "P37": Wording(
            "official language",
            "The official language of {} is",
            ("the official language of {}", "the language that is official in {}"),
        ),
        "P39": Wording(
            "position held",
            "{} held the position of",
            ("the position held by {}", "the office that {} held"),
        ),
        "P40": Wording("child", "The child of {} is", ("the child of {}", "{}'s child")),
        "P101": Wording(
            "field of work",
            "The field of work of {} is",
            ("the field in which {} works", "the field of work of {}"),
        ),
        "P103": Wording(
            "native language",
            "The mother tongue of {} is",
            ("the native language of {}", "the mother tongue of {}"),
        ),
        "P106": Wording(
            "occupation",
            "The occupation of {} is",
            ("the occupation of {}", "the profession of {}", "{}'s job"),
        ),
        "P108": Wording(
            "employer",
            "{} works for",
            ("the employer of {}", "the organisation that {} works for", "{}'s employer"),
        ),
        "P127": Wording("owner", "{} is owned by", ("the owner of {}", "the entity that owns {}")),
        "P131": Wording(
            "administrative territory",
            "{} lies in the administrative area of",
            ("the administrative area in which {} lies", "the administrative territory of {}"),
        ),
        "P136": Wording(
            "genre", "The genre of {} is", ("the genre of {}", "the genre that {} belongs to")
        ),
        "P138": Wording(
            "named after", "{} is named after", ("the namesake of {}", "what {} is named after")
        ),
        "P140": Wording(
            "religion",
            "{} follows the religion of",
            ("the religion of {}", "the religion that {} follows"),
        ),
        "P159": Wording(
            "headquarters location",
            "The headquarters of {} are in",
            ("the city where {} is headquartered", "the location of the headquarters of {}"),
        ),
        "P176": Wording(
            "manufacturer",
            "{} is manufactured by",
            ("the manufacturer of {}", "the company that makes {}"),
        ),
        "P178": Wording(
            "developer",
            "{} was developed by",
            ("the developer of {}", "the company that developed {}"),
        ),
        "P264": Wording(
            "record label",
            "The record label of {} is",
            ("the record label of {}", "the label that {} is signed to"),
        ),
        "P276": Wording(
            "location",
            "The location of {} is",
            ("the location of {}", "the place where {} is located"),
        ),
        "P364": Wording(
            "original language",
            "The original language of {} is",
            ("the original language of {}", "the language in which {} was made"),
        ),
        "P407": Wording(
            "language",
            "The language of {} is",
            ("the language of {}", "the language that {} is written in"),
        ),
        "P413": Wording(
            "playing position",
            "{} plays in the position of",
            ("the playing position of {}", "the position that {} plays in"),
        ),
        "P449": Wording(
            "original broadcaster",
            "{} was first broadcast by",
            ("the original broadcaster of {}", "the network that first aired {}"),
        ),
        "P463": Wording(
            "member of",
            "{} is a member of",
            ("the organisation of which {} is a member", "the organisation that {} belongs to"),
        ),
        "P495": Wording(
            "country of origin",
            "{} comes from the country of",
            ("the country of origin of {}", "the country where {} was created"),
        ),
        "P740": Wording(
            "place of foundation",
            "{} was founded in",
            ("the place where {} was founded", "the city in which {} was formed"),
        ),
        "P800": Wording(
            "notable work",
            "The notable work of {} is",
            ("the notable work of {}", "the work that {} is known for"),
        ),
        "P937": Wording(
            "work location",
            "{} used to work in",
            ("the place where {} worked", "the work location of {}"),
        ),
        "P1001": Wording(
            "jurisdiction",
            "{} has jurisdiction over",
            ("the jurisdiction of {}", "the territory in which {} has jurisdiction"),
        ),
        "P1303": Wording(
            "instrument", "{} plays the", ("the instrument of {}", "the instrument that {} plays")
        ),
        "P1376": Wording(
            "capital of",
            "{} is the capital of",
            ("the territory whose capital is {}", "the state that has {} as its capital"),
        ),
        "P1412": Wording(
            "language spoken",
            "The language that {} speaks is",
            ("the language spoken by {}", "the language that {} speaks"),
        ),
        "P3373": Wording("sibling", "The sibling of {} is", ("the sibling of {}", "{}'s sibling")),
    }
)
"""Relations whose objects are single things of which one can ask further."""

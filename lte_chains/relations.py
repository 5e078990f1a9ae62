"""Relations that have many values at once, so that a further one adds instead of replacing.

Our own list. A relation is here only if a new value hardly ever makes the
earlier ones untrue: another award takes none away. Where people change the one
value that holds now (employer, residence, spouse, party), a relation is not
here, nor where its plain name is mostly asked as having one answer (occupation,
founder); their plurals are, for who says "occupations" means several, and so
are some Wikidata properties that are used with many values, under their labels too.
What the list gets wrong, `Edit(many_valued=True)` or `many_valued=False` puts right.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PROPERTIES: dict[str, tuple[str, ...]] = {
    # People, and who belongs to them.
    "P40": ("child", "children", "son", "sons", "daughter", "daughters", "kid", "kids"),
    "P3373": ("sibling", "siblings", "brother", "brothers", "sister", "sisters"),
    "P1038": ("relative", "relatives"),
    "P802": ("student", "students"),
    "P185": ("doctoral student", "doctoral students"),
    "P1066": ("student of", "teachers"),
    "P737": ("influenced by", "influences"),
    "P1449": ("nickname", "nicknames"),
    "P742": ("pseudonym", "pseudonyms"),
    # What they know, did and received.
    "P166": ("award", "awards", "award received", "awards received", "awards won", "prizes"),
    "P1411": ("nominated for", "nomination", "nominations", "award nominations"),
    "P1412": (
        *("language", "languages", "language spoken", "languages spoken", "spoken language"),
        *("spoken languages", "speaks", "languages spoken, written or signed"),
    ),
    "P6886": ("writing language", "writing languages"),
    "P69": ("educated at", "alma mater", "almae matres", "schools attended", "studied at"),
    "P512": ("academic degree", "academic degrees", "degrees"),
    "P101": ("field of work", "fields of work"),
    "P106": ("occupations", "professions"),
    "P1303": ("instrument", "instruments", "instrument played", "instruments played"),
    "P800": ("notable work", "notable works", "works", "books written", "publications"),
    "P1050": ("medical condition", "medical conditions", "diagnoses"),
    "P1344": ("participant in", "participated in"),
    # Groups and their parts.
    "P463": ("member of", "memberships"),
    "P527": ("part", "parts", "part(s)", "consists of"),
    "P150": ("contains the administrative territorial entity", "districts", "provinces"),
    "P710": ("participant", "participants"),
    "P3320": ("board member", "board members"),
    "P355": ("subsidiary", "subsidiaries"),
    "P1830": ("owner of", "owns"),
    "P1056": ("product", "products", "product or material produced", "produces"),
    "P47": ("shares border with", "borders", "neighbouring countries", "neighboring countries"),
    "P190": ("twinned administrative body", "twin town", "twin towns", "sister city"),
    "P530": ("diplomatic relation", "diplomatic relations"),
    # Works.
    "P136": ("genre", "genres"),
    "P161": ("cast member", "cast members", "cast"),
    "P674": ("character", "characters"),
    "P725": ("voice actor", "voice actors"),
    "P921": ("main subjects", "topics"),
    "P400": ("platform", "platforms"),
    # Things.
    "P31": ("instance of",),
    "P279": ("subclass of",),
    "P366": ("use", "uses"),
    "P1542": ("effect", "effects"),
    "P828": ("cause", "causes"),
    "P780": ("symptom", "symptoms", "symptoms and signs"),
    "P2175": ("medical condition treated", "treats"),
    "P2176": ("drug or therapy used for treatment", "treatments"),
    "P769": ("significant drug interaction", "drug interactions", "interacts with"),
    "P276": ("location", "locations"),
    "P403": ("mouth of the watercourse",),
}

_PLURALS = frozenset(
    {
        *("actors", "allergies", "authors", "citizenships", "clients", "competitors", "composers"),
        *("creators", "customers", "directors", "editors", "email addresses", "employees"),
        *("employers", "founders", "hobbies", "industries", "interests", "investors"),
        *("member", "members", "mother tongues", "nationalities", "native languages", "offices"),
        *("official languages", "owners", "partners", "phone numbers", "producers"),
        *("programming languages", "screenwriters", "shareholders", "side effects", "skills"),
        *("sister cities", "sports", "spouses", "suppliers", "teams", "winners"),
    }
)

_NAMES = frozenset(name for names in _PROPERTIES.values() for name in names) | _PLURALS
_PROPERTY = re.compile(r"(?:^|[/:])(P[1-9][0-9]*)$", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LEADING = re.compile(r"^(?:has|have|had|is|was|are|were|the) ")


@lru_cache(maxsize=1024)
def is_many_valued_relation(relation: str) -> bool:
    """Return whether a relation has many values, by its name or its Wikidata property.

    Case, underscores, hyphens and a leading "has" or "is" make no difference.

    Example:
        >>> [is_many_valued_relation(r) for r in ("Children", "award_received", "wdt:P1412")]
        [True, True, True]
        >>> [is_many_valued_relation(r) for r in ("CEO", "spouse", "P36")]
        [False, False, False]
    """
    found = _PROPERTY.search(relation.strip())
    if found:
        return found[1].upper() in _PROPERTIES
    return _plain(relation) in _NAMES


def _plain(relation: str) -> str:
    spaced = _CAMEL.sub(" ", unicodedata.normalize("NFKC", relation)).casefold()
    words = re.sub(r"[\s_\-]+", " ", spaced).strip(" :.?")
    shorter = _LEADING.sub("", words)
    # "has part(s)" is a name of its own; elsewhere "(s)" only says that there may be several.
    return shorter if shorter in _NAMES else shorter.replace("(s)", "")

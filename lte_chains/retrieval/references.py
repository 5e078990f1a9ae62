"""What a question leaves to earlier ones: pronouns, fragments, and remarks on the answer.

"How old is she?", "And in Paris?" and "Are you sure?" say nothing that could be
searched: what they are about stands elsewhere.
"""

from __future__ import annotations

import re

from lte_chains.retrieval.mentions import names_in
from lte_chains.retrieval.ordinary_words import is_ordinary

ASKING = "who|whom|whose|what|which|why|when|where|how"
"""The words that ask, as a pattern."""

_PERSON = "he|she|him|her|hers|his"
POINTER = re.compile(
    rf"\b(?:{_PERSON}|it|they|its|their|theirs|them|this|these|those|the same|former|"
    r"latter)\b|(?:^|\b(?:is|was|does|did|about|of|in|for|on|with|at|after|by|from|to)\s+)that\b"
    r"|\bthere\W*$",
    re.IGNORECASE,
)
PERSONAL = re.compile(rf"^(?:{_PERSON})$", re.IGNORECASE)
POSSESSIVE = re.compile(r"^(?:his|its|their)$", re.IGNORECASE)
FRAGMENT = re.compile(
    rf"^(?:(?:and|since|until|by|to|for|from|about)\s+)?(?:{ASKING})"
    r"(?:\s+(?:else|exactly|much|many|long|often|old|far|big|high|tall|soon|one|ones))?\W*$"
    r"|^(?:and|or|but|so|also|what about|how about)\b"
    rf"(?!\W+(?:{ASKING}|is|are|was|were|do|does|did|can|could|has|have|had|will)\b)"
    r"(?:\W+\w+){1,5}\W*$"
    r"|^the(?:\s+\w+){1,2}\s*\?$",
    re.IGNORECASE,
)
_OFFICES = r"C[A-Z]{1,3}O|S?VP|EVP|MD|PM|HQ|GDP|IPO|IQ|HDI|URL|ETA|SKU|ISIN|ISBN|VAT"
"""Offices and measures in capitals, which are no names."""
OFFICE = re.compile(_OFFICES)
RELATION = re.compile(
    r"^(?i:(?:and|or|but|so|also|what about|how about)\W+)?(?:(?i:the)\s+"
    rf"(?P<which>{_OFFICES}|"
    r"(?!(?:[\w'-]+\s+){0,2}(?:ones?|others?|rest|same)\b)[a-z][\w'-]*(?:\s+[a-z][\w'-]*){0,2}))"
    r"\W*$|^(?P<what>[a-z][\w'-]{2,})\s*\?+$",
)
"""What a fragment asks for of what was asked about before: "And the CFO?", "price?"."""
_CORRECTION = re.compile(
    r"^(?:(?:oh|no|nope|ah|hm+|wait|actually|well|ok|okay)\W+)*"
    r"(?:(?:sorry|oops|pardon)\W+(?:(?:i|we)\s+(?:mean|meant)|make\s+(?:it|that)|rather)?|"
    r"(?:i|we)\s+(?:mean|meant)|make\s+(?:it|that)|rather)\s+(?:the\s+)?",
    re.IGNORECASE,
)
_LESS_MARKS = re.compile(r"\W*(?P<name>.{1,80}?)[\s?!.]*")
_NAME = re.compile(r"(?<=\w\W)[A-Z]\w")
_TITLE = re.compile(r"^[A-Z]{2,} of ")

_REMARK_WORDS = 12
"""Most words of a remark that is told by its words alone."""
_LANGUAGES = (
    "arabic|chinese|czech|danish|dutch|english|finnish|french|german|greek|hebrew|hindi|italian|"
    "japanese|korean|latin|norwegian|polish|portuguese|russian|spanish|swedish|turkish|ukrainian"
)
_FORMS = "json|yaml|xml|html|csv|markdown|latex"
_NO_TOPIC = re.compile(rf"(?:{_LANGUAGES}|{_FORMS}|ai)", re.IGNORECASE)
_SPOKEN = re.compile(
    r"\byour (?:\w+ )?(?:answer|reply|response|statement|claim|sources?|reasoning|explanation)s?\b"
    r"|\byou (?:(?:just|have|had|really) )?(?:said|told|wrote|mentioned|answered|claimed|stated)\b"
    r"|\b(?:the|that|this) (?:last |previous |above )?(?:answer|reply|response)\b"
    r"|\b(?:previous|earlier|above|last) (?:answer|reply|response|question|message)s?\b",
    re.IGNORECASE,
)
"""Names the answer as such: whatever is asked of it, it is about what was asked before."""
_ECHO = re.compile(
    r"^(?:so\W+)?(?:did )?you (?:say|said|mean|meant)\b(?:\W+\w+){1,3}\W*$", re.IGNORECASE
)
"""Repeats a part of the answer: "You said Jane?"."""
_SAYS_SO = re.compile(
    r"\b(?:sure|certain|again|mean|meant|means|say|says|said|sources?|proof|evidence|reason|"
    r"reasons|answer|wrong|right|correct|true|so|know|come|sense)\b"
)
_REMARK = re.compile(
    # What words of any sentence are.
    r"a|an|the|it|it's|is|isn't|was|wasn't|be|being|been|are|aren't|am|do|does|did|don't|doesn't|"
    r"didn't|can|can't|could|would|will|won't|should|may|might|must|have|has|had|to|as|by|of|for|"
    r"from|into|in|on|at|with|without|and|or|but|not|no|yes|if|so|than|then|me|us|my|your|you|"
    r"you're|i|i'm|i'd|we|that|that's|this|these|those|there|here|all|any|some|one|two|three|four|"
    r"five|few|single|let|let's|please|pls|kindly|just|only|also|bit|little|very|too|much|quite|"
    rf"{ASKING}|what's|how's|who's|ever|even|else|instead|"
    # Doubt.
    r"sure|certain|positive|really|serious|seriously|honestly|absolutely|actually|definitely|"
    r"indeed|correct|correctly|right|wrong|true|truth|truly|false|mistaken|mistake|error|kidding|"
    r"joking|lying|doubt|check|checked|double|doublecheck|recheck|verify|verified|confirm|still|"
    r"anymore|current|currently|now|nowadays|up-to-date|updated|outdated|latest|sources?|proof|"
    r"prove|evidence|references?|cite|citation|reason|reasons|reasoning|reliable|"
    # Once more.
    r"again|once|repeat|restate|say|says|said|tell|told|think|thought|believe|know|mean|meant|"
    r"means|answer|answers|answered|reply|response|question|try|retry|redo|continue|go|ahead|come|"
    r"wait|hold|sorry|pardon|huh|hm+|oh|ok|okay|well|hey|"
    # In another form.
    r"explain|explained|explanation|elaborate|clarify|rephrase|reword|rewrite|paraphrase|"
    r"summari[sz]e|summary|shorten|shorter|short|brief|briefly|briefer|concise|longer|long|expand|"
    r"details?|detailed|specific|precise|exact|exactly|simple|simpler|simply|simplify|plain|clear|"
    r"clearer|translate|translation|language|format|formatted|list|bullets?|points?|table|"
    r"uppercase|lowercase|caps|capitals?|letters?|keep|use|give|write|put|make|show|spell|full|"
    r"complete|whole|steps?|words?|sentences?|lines?|paragraphs?|name|polite|politely|formal|"
    r"formally|informal|friendly|friendlier|quick|quickly|version|form|style|tone|more|less|"
    r"other|another|different|way|out|loud|first|last|previous|earlier|above|"
    rf"{_LANGUAGES}|{_FORMS}",
)
_DEFINITE = re.compile(
    r"\bthe(?:\s+[\w'-]+){1,3}\s*\?*$",
    re.IGNORECASE,
)
_DEFINES = re.compile(r"\b(?:of|in|for|at|on|to|from|by|that|which|who|whose|where|with)\b")


def refers_back(question: str) -> bool:
    """Tell whether a question needs an earlier one to be understood.

    It does if it is a fragment, or a remark on the answer, or points at something
    that it does not name before: a pronoun after a name belongs to that name.

    Example:
        >>> refers_back("How old is she?"), refers_back("And in Paris?"), refers_back("Why?")
        (True, True, True)
        >>> refers_back("Are you sure?"), refers_back("Translate your answer to German.")
        (True, True)
        >>> refers_back("Who runs Acme?"), refers_back("Did Jane say when she left?")
        (False, False)
    """
    if FRAGMENT.match(question) or is_remark(question) or name_instead(question):
        return True
    pointer = POINTER.search(question)
    return pointer is not None and not _NAME.search(question[: pointer.start()])


def name_instead(text: str) -> str:
    """Return the name that a text puts in the place of another, and says nothing else; "" if none.

    Example:
        >>> name_instead("Globex?"), name_instead("Sorry, I meant Globex."), name_instead("Hello.")
        ('Globex', 'Globex', '')
    """
    correction = _CORRECTION.match(text)
    if correction is None and (not text.rstrip().endswith("?") or FRAGMENT.match(text)):
        return ""
    rest = _LESS_MARKS.fullmatch(text[correction.end() if correction else 0 :].strip())
    name = rest["name"] if rest else ""
    numbered = [numbers_too(found, name) for found in names_in(name)]
    return name if numbered == [name] and not is_ordinary(name) else ""


def numbers_too(name: str, text: str) -> str:
    """Return a name with the numbers that follow it in a text.

    Example:
        >>> numbers_too("Nokia", "How heavy is the Nokia 3310?")
        'Nokia 3310'
    """
    found = re.search(rf"{re.escape(name)}(?:[ \t]+\d[\w.-]*\b)*", text)
    return found[0] if found else name


def is_remark(text: str) -> bool:
    """Tell whether a text is about an answer that was given, and names nothing of its own.

    Example:
        >>> is_remark("Can you double check?"), is_remark("In one word please.")
        (True, True)
        >>> is_remark("Can you double check who runs Globex?"), is_remark("What is your name?")
        (False, False)
    """
    if _ECHO.match(text):
        return True
    if any(_NO_TOPIC.fullmatch(topic) is None for topic in topics_in(text)):
        return False
    plain = text.casefold().replace("’", "'").replace("up to date", "up-to-date")
    words = re.findall(r"[\w'-]+", plain)
    if not words or len(words) > 2 * _REMARK_WORDS:
        return False
    if _SPOKEN.search(text):
        return True
    if len(words) > _REMARK_WORDS or not all(map(_REMARK.fullmatch, words)):
        return False
    asks = re.match(rf"(?:{ASKING})(?:'s)?$", words[0]) is not None
    return not asks or _SAYS_SO.search(plain) is not None


def leaves_open(question: str) -> bool:
    """Tell whether a question does not say of what it asks for the thing that it asks for.

    Example:
        >>> leaves_open("Who is the CEO?"), leaves_open("Who is the CEO of Acme?")
        (True, False)
    """
    found = _DEFINITE.search(question)
    if found is None or topics_in(question, titles=False):
        return False
    return _DEFINES.search(found[0]) is None


def topics_in(question: str, *, titles: bool = True) -> list[str]:
    """Return the names in a question, less its first word and titles such as "CEO of".

    Args:
        question: A question or a request.
        titles: Whether words in capitals alone, such as "CEO", are taken for names.

    Example:
        >>> topics_in("Who is the CEO of Acme?"), topics_in("Who is the CEO?", titles=False)
        (['Acme'], [])
    """
    found = [_TITLE.sub("", name) for name in names_in(question.partition(" ")[2])]
    return found if titles else [name for name in found if not name.isupper()]

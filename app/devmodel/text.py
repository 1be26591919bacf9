"""Words, stems and sentences: the little that the development model knows of English."""

import re
from functools import lru_cache
from itertools import takewhile

import msgspec

_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"""(?<=[.!?])["'”’)\]*]*\s+(?=["'“‘(\[*]*[A-Z0-9`])""")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|fig|mr|mrs|dr|st)|\b[A-Z])\.$", re.IGNORECASE)
_BULLET = re.compile(r"\s*(?:[-*+•]|\d{1,2}[.)])\s+")
_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*$")
_TABLE_RULE = re.compile(r"\|?[\s:|-]*-[\s:|-]*$")
_LINK = re.compile(r"!?\[([^\]]+)\]\([^)\s]+\)")
_EMPHASIS = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")


def _vocabulary(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOPWORDS = _vocabulary(
    """a an and any are as at be been being but by can could did do does doing for from get gets had has have having
    how i if in into is it its just may me might my must no nor not of off on or our out per shall should so
    some such than that the their them then there these they this those to too us very was we were what when
    where which while who whom whose why will with would you your yours also about again all am both each few
    here more most only other own same until up s t don please tell explain give happen happens one ones use
    used using want need needs make makes made mean means exactly"""
)

# The few that dev-small passes over; it takes "when" and "can" for words that matter.
FEW_STOPWORDS = _vocabulary("a an and are do does for how i in is of or the to what which")

_IRREGULAR_FORMS = """
lose lost
keep kept
hold held
take taken took
send sent
buy bought
find found
write written wrote
build built
run ran
choose chosen chose
break broken broke
know known knew
give given gave
show shown
mean meant
leave left
tell told
begin began begun
draw drawn
grow grown
forget forgotten
hide hidden
understand understood
pay paid
say said
come came
index indices
"""

# Words that people swap when they ask; each stem is read as the first of its group.
_SYNONYM_GROUPS = """
start launch boot begin
stop halt kill terminate abort cancel interrupt
delete remove drop erase
list display
folder directory
file document
change modify edit alter update
choose pick select
build create construct produce generate
number count
often times
default standard
fail break
error fault problem
allow permit
forbid refuse deny reject prohibit disallow
cost price expense
fast quick rapid
slow sluggish
save store keep persist
location place address
big large size weigh weight
small little tiny
compare contrast
question query
answer reply response respond
user people person someone
test check verify
send transmit
license licence
setting configure option
lower less fewer
higher greater
equal same identical
environment env
database db
command cmd
parameter param argument arg
install setup
author writer
roll revert undo
rate rating
ship deploy release
"""


_IRREGULAR = {form: base for base, *forms in map(str.split, _IRREGULAR_FORMS.strip().splitlines()) for form in forms}


class Unit(msgspec.Struct, frozen=True, gc=False):
    """A sentence, list item, table row or code block of a passage.

    `lead` is what its reader has in mind besides the title: a table's column names, the line that introduces a list.
    `code` is the text of a code block that belongs to the sentence (or is the unit itself when `text` is empty).
    """

    text: str
    lead: str = ""
    code: str = ""


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A light suffix stripper (after Harman's S-stemmer, with the commonest endings of verbs and nouns)."""
    word = _IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isalpha():
        return word
    for suffix, replacement in (
        ("ments", "ment"),
        ("ingly", ""),
        ("ities", "ity"),
        ("ings", ""),
        ("ions", ""),
        ("ies", "y"),
        ("ied", "y"),
        ("ing", ""),
        ("ion", ""),
        ("ers", ""),
        ("ly", ""),
        ("ed", ""),
        ("es", ""),
        ("er", ""),
        ("or", ""),
        ("s", ""),
    ):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            word = word[: len(word) - len(suffix)] + replacement
            break
    if len(word) >= 7 and word.endswith("at"):
        word = word[:-2]
    if len(word) > 3 and word[-1] == "e":
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiousl":
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 3 and word[-1] == "y" else word


_CANONICAL = {
    stem(word): stem(group[0]) for group in map(str.split, _SYNONYM_GROUPS.strip().splitlines()) for word in group
}
_STOP_STEMS = frozenset(map(stem, STOPWORDS)) | STOPWORDS


def words(text: str) -> list[str]:
    """All words in lower case; `PROMPTWARD_HOME` and `docs/answer@7` fall apart into theirs."""
    return _WORD.findall(text.lower())


def plain_words(text: str) -> frozenset[str]:
    """Different words without the very commonest, as dev-small sees them."""
    return frozenset(words(text)) - FEW_STOPWORDS


@lru_cache(maxsize=8_192)
def stems(text: str) -> tuple[str, ...]:
    """Stems of the content words, synonyms folded together, in order."""
    found = (stem(word) for word in words(text) if word not in STOPWORDS)
    return tuple(_CANONICAL.get(one, one) for one in found if one not in _STOP_STEMS)


def plain(line: str) -> str:
    """A line without Markdown's links and emphasis; code marks stay."""
    return _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", line)).strip()


def sentences(paragraph: str) -> list[str]:
    """Split running text into sentences; abbreviations and initials do not end one."""
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(paragraph):
        if _ABBREVIATION.search(paragraph, start, end.start()):
            continue
        found.append(paragraph[start : end.end()].strip())
        start = end.end()
    found.append(paragraph[start:].strip())
    return [one for one in found if one]


def heading(line: str) -> str | None:
    """The text of a Markdown heading, or None."""
    match = _HEADING.match(line)
    return plain(match[1]) if match else None


@lru_cache(maxsize=4_096)
def units(text: str) -> tuple[Unit, ...]:
    """The units of one passage, in reading order."""
    found: list[Unit] = []
    prose: list[str] = []
    lead, columns = "", ""
    lines = text.split("\n")
    position = 0

    def flush() -> None:
        nonlocal lead
        if prose:
            new = [Unit(one, lead) for one in sentences(" ".join(prose))]
            found.extend(new)
            if new and new[-1].text.endswith(":"):
                lead = new[-1].text
            prose.clear()

    while position < len(lines):
        line = lines[position]
        position += 1
        stripped = line.strip()
        if stripped.startswith(("```", "~~~")):
            flush()
            block: list[str] = []
            while position < len(lines) and not lines[position].strip().startswith(stripped[:3]):
                block.append(lines[position].rstrip())
                position += 1
            position += 1
            _add_code(found, "\n".join(block).strip("\n"), lead)
        elif not stripped:
            flush()
            if columns or not (found and found[-1].text.endswith(":")):
                lead, columns = "", ""
        elif stripped.startswith("|") and stripped.count("|") >= 2:
            flush()
            cells = [plain(cell) for cell in stripped.strip("|").split("|")]
            if _TABLE_RULE.match(stripped):
                continue
            if not columns:
                columns = " ".join(cells)
                if position < len(lines) and _TABLE_RULE.match(lines[position].strip() or "x"):
                    continue
            found.append(Unit(f"{cells[0]}: " + "; ".join(cell for cell in cells[1:] if cell), columns))
        elif bullet := _BULLET.match(line):
            flush()
            prose.append(plain(line[bullet.end() :]))
        else:
            title = heading(stripped)
            if title is not None:
                flush()
                lead = title
            else:
                prose.append(plain(stripped))
    flush()
    return tuple(_with_lists(found))


def _with_lists(found: list[Unit]) -> list[Unit]:
    """Join the items of a short list to the sentence that introduces it; the items stay as well."""
    joined: list[Unit] = []
    for place, unit in enumerate(found):
        items = list(takewhile(lambda one: one.text and one.lead == unit.text, found[place + 1 :]))  # noqa: B023
        if unit.text.endswith(":") and not unit.code and 1 < len(items) <= 8:
            text = f"{unit.text} " + "; ".join(item.text.rstrip(".;,") for item in items)
            unit = Unit(text, unit.lead) if len(text.split()) <= 60 else unit
        joined.append(unit)
    return joined


def _add_code(found: list[Unit], code: str, lead: str) -> None:
    if not code:
        return
    if found and found[-1].text.endswith(":") and not found[-1].code:
        found[-1] = Unit(found[-1].text, found[-1].lead, code)
    else:
        found.append(Unit("", lead, code))

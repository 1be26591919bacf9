"""Making texts that read alike compare alike: widths, case, accents, invisible characters, separators."""

import re
import unicodedata
from collections.abc import Iterator

# Patterns are compiled when they are first used: every module here is imported when a command starts.

# Characters that show nothing: soft hyphen, joiners, marks of direction, fillers, variation selectors, tags.
_INVISIBLE = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_QUOTES = str.maketrans("’‘ʼ´`“”„«»", "'''''" + '"' * 5)
# Letters of other alphabets that are drawn as Latin ones; only what is common in disguises.
_LOOKALIKES = str.maketrans(
    "абсеһіјкмнорѕтухυνοραικτ",
    "abcehijkmhopstuxuvopaikt",
)
_NOT_ALPHANUMERIC = r"[\W_]+"
# Scripts without spaces between words: every character stands for itself.
_WORD = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]|[^\W_]+"
_MARKS = "[\u0300-\u036f]"


def visible(text: str) -> str:
    """The text without characters that show nothing."""
    return text if text.isascii() else re.sub(_INVISIBLE, "", text)


def fold(text: str) -> str:
    """Lower case (full folding), compatibility forms replaced (NFKC), straight quotes, nothing invisible."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", visible(text)).casefold().translate(_QUOTES)


def squeeze(text: str) -> str:
    """Letters and digits alone, folded, without accents: `C-A-N ary` and `canary` are the same."""
    folded = fold(text)
    if not folded.isascii():
        folded = re.sub(_MARKS, "", unicodedata.normalize("NFKD", folded))
    return re.sub(_NOT_ALPHANUMERIC, "", folded)


def latin_lookalikes(text: str) -> str:
    """Folded text with the Cyrillic and Greek letters that look like Latin ones replaced by these."""
    return text if text.isascii() else text.translate(_LOOKALIKES)


def words(text: str) -> list[str]:
    """Folded words; in scripts without spaces every character is one."""
    return re.findall(_WORD, fold(text))


def ngrams(items: list[str], n: int) -> Iterator[tuple[str, ...]]:
    """All runs of `n` neighbours, in order."""
    return zip(*(items[i:] for i in range(n)), strict=False)

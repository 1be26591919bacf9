"""Finding listed words again in spite of disguises."""

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from evaluators.folding import fold, latin_lookalikes

# A word may hold signs that stand for letters; an apostrophe is a part of it.
_WORD = r"[\w@$!*]+(?:'\w+)*"
_SPELLED = r"(?<![^\W_])[^\W\d_](?:[ .\-_*]{1,2}[^\W\d_](?![^\W_])){2,20}"
_SEPARATORS = r"[\W_]+"
_LEET = str.maketrans("430157@$!", "aeoistasi")
_REPEATED = r"(.)\1+"
_LONGEST = 40


class Wordlist:
    """Words to look for: as they stand, in leetspeak, with letters repeated, spelled out, or starred."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(words)
        self._singled = {re.sub(_REPEATED, r"\1", word): word for word in sorted(self._words) if len(word) > 3}
        self._by_length: dict[int, list[str]] = {}
        for word in sorted(self._words):
            self._by_length.setdefault(len(word), []).append(word)

    @staticmethod
    @functools.lru_cache(maxsize=64)
    def of(listed: str, added: Sequence[str] = (), allowed: Sequence[str] = ()) -> "Wordlist":
        """The listed words with `added`, without `allowed`."""
        return Wordlist({fold(each) for each in (*listed.split(), *added)} - {fold(each) for each in allowed})

    def find(self, text: str) -> Counter[str]:
        """How often each listed word occurs."""
        return Counter(word for _, word in self.places(self.words(text)))

    def words(self, text: str) -> list[str]:
        """The words of a text, folded; what is spelled out letter by letter is added at the end as one."""
        folded = fold(text)
        found = re.findall(_WORD, folded)
        found += (re.sub(_SEPARATORS, "", match[0]) for match in re.finditer(_SPELLED, folded))
        return found

    def places(self, words: Sequence[str]) -> Iterator[tuple[int, str]]:
        """The index of each listed word, with the word as it is listed."""
        known: dict[str, str | None] = {}
        for at, word in enumerate(words):
            if word not in known:
                known[word] = self._listed(word)
            if (listed := known[word]) is not None:
                yield at, listed

    def _listed(self, word: str) -> str | None:
        if word in self._words:
            return word
        if len(word) > _LONGEST:
            return None
        bare = word.strip("!*_")
        letters = sum(map(str.isalpha, bare))
        if letters * 2 < len(bare) or letters < 2:
            return self._starred(word)
        for form in dict.fromkeys((bare, latin_lookalikes(bare), latin_lookalikes(bare).translate(_LEET))):
            if form in self._words:
                return form
            # `ass` is no `as`: letters may be added to a word, never taken away.
            listed = self._singled.get(re.sub(_REPEATED, r"\1", form)) if re.search(_REPEATED, form) else None
            if listed is not None and _stretches(form, listed):
                return listed
        return self._starred(word)

    def _starred(self, word: str) -> str | None:
        """The only listed word that the stars can stand for; its first letter must be there, and half of all."""
        if "*" not in word or word[0] == "*" or word.count("*") * 2 > len(word):
            return None
        pattern = re.compile("".join("." if sign == "*" else re.escape(sign) for sign in word))
        return next(filter(pattern.fullmatch, self._by_length.get(len(word), ())), None)


def _stretches(form: str, word: str) -> bool:
    """Whether `form` is `word` with letters repeated."""
    long, short = ([(key, len(list(run))) for key, run in itertools.groupby(each)] for each in (form, word))
    return len(long) == len(short) and all(a[0] == b[0] and a[1] >= b[1] for a, b in zip(long, short, strict=True))

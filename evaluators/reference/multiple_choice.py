"""Which choice the output names."""

import functools
import re
import string
from typing import Any

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip, texts

_MOST = 26
_UNKNOWN = 10  # as many letters are looked for where nobody says how many choices there are
# The signs that Markdown and TeX put around a letter.
_DECORATION = re.compile(r"[*_`$]+|\\(?:text|textbf|mathrm|mathbf)\s{0,3}\{\s{0,3}([A-Za-z])\s{0,3}\}")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s{0,3}\{([^{}]{0,200})\}")
_JOIN = r"(?:\s{0,3}(?:,|;|/|&|\+|\band\b|\bor\b)\s{0,3}){1,2}"


class MultipleChoice(Scorer, frozen=True):
    """1 when the output chooses the letter (or all the letters) that the reference names, else 0.

    Looked for, the surest form first: a boxed letter; the last "answer is C", "Answer: (C)" and the like; an output that
    is or begins with a letter as in "C) Paris"; the text of a choice alone; letters in brackets; the text of a choice
    within the output; a letter in capitals that stands alone. Later statements correct earlier ones only in the first
    two forms; in the others several letters are ambiguous. An output without a letter, or with several where one is
    asked for, is unparsable (0): nothing is guessed. So is an empty output.

    The reference is a letter, or the text of a choice. Choices come from `choices`, or from the input `choices` (a list,
    or an object from letter to text); they may be missing. With `multiple` the output must name exactly the letters of
    the reference, such as "A, C" or a list of letters; without it a list holds alternatives, of which the best counts. A
    reference that names no choice is skipped. Range {0, 1}, higher is better.

    Source: the answer formats of MMLU (arXiv 2009.03300) and of Inspect's `choice` scorer.
    """

    name = "multiple_choice"
    version = 2
    needs = frozenset({"reference", "inputs"})
    binary = True
    example = {"choices": ["London", "Paris", "Rome"]}

    choices: list[str] | None = None
    multiple: bool = False

    def check(self) -> None:
        super().check()
        if self.choices is None:
            return
        if not 2 <= len(self.choices) <= _MOST:
            raise ScorerConfigError(f"give 2 to {_MOST} choices", "/args/choices")
        folded = [_folded(each) for each in self.choices]
        for index, each in enumerate(folded):
            if not each or each in folded[:index]:
                reason = "is written twice" if each else "is empty"
                raise ScorerConfigError(f"the choice {clip(self.choices[index])} {reason}", f"/args/choices/{index}")

    @property
    def reads(self) -> frozenset[str]:
        return self.needs if self.choices is None else frozenset({"reference"})

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and not self._expected(sample, self._options(sample)):
            return f"{self.name}: the reference names no choice: {clip(str(sample.reference))}"
        return reason

    def measure(self, sample: Sample) -> Score:
        options = self._options(sample)
        found = chosen(sample.output, options)
        if not found:
            return Score.unparsable(f"the output names no choice; found {clip(sample.output[-80:])}")
        shown = ", ".join(sorted(found))
        if len(found) > 1 and not self.multiple:
            return Score.unparsable(f"the output names several choices: {shown}")
        expected = self._expected(sample, options)
        wanted = " or ".join(", ".join(sorted(each)) for each in expected)
        return self.scored(float(found in expected), f"chosen {shown}, expected {wanted}", label=shown)

    def _options(self, sample: Sample) -> dict[str, str]:
        """The choices by letter; texts are empty where only the letters are known."""
        given: Any = self.choices if self.choices is not None else sample.inputs.get("choices")
        if isinstance(given, dict):
            pairs = {str(key).strip().upper(): str(value) for key, value in given.items()}
            if pairs and all(len(key) == 1 and key in string.ascii_uppercase for key in pairs):
                return pairs
        if isinstance(given, list) and 2 <= len(given) <= _MOST:
            return dict(zip(string.ascii_uppercase, map(str, given), strict=False))
        return dict.fromkeys(string.ascii_uppercase[:_UNKNOWN], "")

    def _expected(self, sample: Sample, options: dict[str, str]) -> list[frozenset[str]]:
        alternatives = texts(sample.references)
        if not self.multiple:
            return [each for text in alternatives if len(each := _reference(text, options)) == 1]
        if isinstance(sample.reference, list):
            parts = [_reference(each, options) for each in alternatives]
            return [frozenset().union(*parts)] if parts and all(parts) else []
        return [each for text in alternatives if (each := _reference(text, options))]


def chosen(output: str, options: dict[str, str]) -> frozenset[str]:
    """The letters that the output names; none, when it names none."""
    letters = "".join(options)
    boxes = _BOXED.findall(_DECORATION.sub(r"\1", output))
    if boxes and (found := _whole(boxes[-1], options)):
        return found
    text = _DECORATION.sub(r"\1", output)
    forms = _forms(letters)
    last = None
    for match in forms.answer.finditer(text):
        last = match
    if last is not None:
        return _letters(last[1], letters)
    if found := _whole(text, options):
        return found
    if found := _letters(" ".join(forms.bracket.findall(text)), letters):
        return found
    if found := _named(text, options):
        return found
    return frozenset(forms.alone.findall(text))


class _Forms:
    def __init__(self, letters: str) -> None:
        lower = letters.lower()
        one = rf"\(?\[?(?:[{letters}](?![\w'’])|[{lower}](?=[)\]])|[{lower}](?=[.\s]{{0,3}}$))\)?\]?"
        # "The answer: A dog barks" has an article, no letter; "A because dogs bark" has one.
        goes_on = r"(?:as|and|are|because|but|due|for|from|given|is|or|since|so|that|the|with|which)"
        several = rf"({one}(?:{_JOIN}{one}){{0,25}})(?!(?<=[AI])\s(?!{goes_on}\b)[a-z]{{2,}}\s?[a-z.])"
        self.answer = re.compile(
            rf"(?i:\b(?:answers?|choices?|options?|choose|pick|select)\b)"
            rf"(?i:\s{{0,3}}(?:\bis\b|\bare\b|\bwould be\b|\bmust be\b|[:=]|\bthe\b|\boption\b|\bchoice\b|\bletter\b)){{0,4}}\s{{0,3}}{several}"
        )
        self.start = re.compile(rf"\s*\(?\[?([{letters}{letters.lower()}])(?:[)\]]|[.:](?=\s|$)|\s*$)")
        # A later one makes a list of choices; the end of a word, or of "Vitamin C.", makes none.
        self.later = re.compile(rf"(?<!\w)[{letters}{letters.lower()}](?:[)\]]|[.:]\s)")
        self.list = re.compile(rf"\s*{one}(?:(?:{_JOIN}|\s){one}){{0,25}}\.?\s*")
        self.bracket = re.compile(rf"[(\[]\s?[{letters}{letters.lower()}]\s?[)\]]")
        # "A" and "I" are words, too, but not as signs of a list.
        words, others = "".join(filter("AI".count, letters)), letters.replace("A", "").replace("I", "")
        forms = [rf"[{others}](?![\w'’])"] * bool(others) + [rf"[{words}](?=[).:])"] * bool(words)
        self.alone = re.compile(rf"(?<![\w'’])(?:{'|'.join(forms)})")


@functools.lru_cache(maxsize=64)
def _forms(letters: str) -> _Forms:
    return _Forms(letters)


def _letters(text: str, letters: str) -> frozenset[str]:
    words = re.findall(r"[A-Za-z]+", text)
    return frozenset(word.upper() for word in words if len(word) == 1 and word.upper() in letters)


def _whole(text: str, options: dict[str, str]) -> frozenset[str]:
    """A text that is nothing but the choice: letters, or what one choice says, or both as in "C) Paris"."""
    letters = "".join(options)
    forms = _forms(letters)
    if len(text) < 500 and forms.list.fullmatch(text):
        return _letters(text, letters)
    start = forms.start.match(text)
    if start is not None and not forms.later.search(text, start.end()):
        others = {match.upper() for match in re.findall(r"(?m)^\s{0,9}\(?([A-Za-z])[).:]\s", text)}
        if len(others) <= 1:  # else the output repeats the list of choices
            return frozenset(start[1].upper())
    folded = _folded(text)
    return frozenset(letter for letter, choice in options.items() if choice and _folded(choice) == folded)


def _named(text: str, options: dict[str, str]) -> frozenset[str]:
    """The choices whose texts stand in the output; one that is part of another counts only outside of it."""
    rest = f" {_folded(text)} "
    found = set()
    for letter, choice in sorted(options.items(), key=lambda item: -len(item[1])):
        words = _folded(choice)
        if words and f" {words} " in rest:
            found.add(letter)
            rest = rest.replace(f" {words} ", " \0 ")
    return frozenset(found)


def _reference(text: str, options: dict[str, str]) -> frozenset[str]:
    letters = "".join(options)
    if found := _whole(text.strip(), options):
        return found
    compact = text.strip().upper()
    if 1 < len(compact) <= len(letters) and set(compact) <= set(letters) and len(set(compact)) == len(compact):
        return frozenset(compact)  # "AC"
    return frozenset()


def _folded(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", text.casefold()).split()) or text.casefold().strip()

"""The words of a formula, plain or in LaTeX: numbers, commands, signs and names; and what is built of them."""

import functools
import re
from fractions import Fraction
from typing import NamedTuple, NoReturn

LONGEST = 2000
_DEEPEST = 60
FUNCTIONS = frozenset(
    "sqrt sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log lg exp abs".split()  # noqa: SIM905
)
COMMANDS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "cdot": "*", "times": "*", "ast": "*", "div": "/", "le": "<=",
    "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">", "ne": "!=",
    "neq": "!=", "lvert": "|", "rvert": "|", "vert": "|", "lbrace": r"\{", "rbrace": r"\}", "cup": "cup", "in": "in",
    "pi": "pi", "infty": "inf", "infinity": "inf", "pm": "pm",
}  # fmt: skip
GREEK = frozenset(
    "alpha beta gamma delta theta lambda mu phi omega sigma rho tau".split()  # noqa: SIM905
)
_DROPPED = frozenset(
    "left right big Big bigg Bigg displaystyle textstyle quad qquad limits mathrm mathbf rm bf".split()  # noqa: SIM905
)
_UNICODE = str.maketrans(
    {"−": "-", "–": "-", "×": "*", "⋅": "*", "·": "*", "÷": "/", "π": r"\pi ", "∞": r"\infty ", "≤": "<=", "≥": ">=",
     "√": r"\sqrt ", "²": "^2", "³": "^3", "±": r"\pm ", "∪": r"\cup ", "½": r"\frac12 ", "≠": "!=", "°": "", "$": ""}
)  # fmt: skip
_UNITS = r"\\(?:text|textbf|textrm|mbox|operatorname)\s?\{([^{}]*)\}|\^\s?\{?\s?\\circ\s?\}?|\\degree"
_LEXEME = (
    r"(?P<number>\d{1,3}(?:(?:,|\{,\}|\\,)\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
    r"|\\(?P<command>[A-Za-z]+)|(?P<sign>\\[{}%]|\*\*|<=|>=|!=|[-+*/^_(){}\[\]|,=<>!%;])|(?P<word>[A-Za-z]+)"
    r"|(?P<space>\s+|\\[ ,;:!]|~|\\\\)"
)


class NotMathError(ValueError):
    """The text is not mathematics that can be read; the message says where."""


class Node(NamedTuple):
    """`kind` is number, symbol, constant, or the name of an operation over `parts`; relations and lists are nodes, too."""

    kind: str
    parts: tuple["Node", ...] = ()
    number: Fraction = Fraction(0)
    name: str = ""


class Token(NamedTuple):
    kind: str  # number, command, sign, word, end
    text: str
    at: int
    spaced: bool  # whether space stands before it


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compiled when it is first needed: a command that starts imports every scorer."""
    return re.compile(text)


def _unit(match: re.Match[str]) -> str:
    words = (match[1] or "").strip().lower()
    return f" {words} " if words in ("and", "or") else " "


def tokens(text: str) -> list[Token]:
    """The words, with one of kind `end` behind them. Raises NotMathError."""
    if len(text) > LONGEST:
        raise NotMathError(f"{len(text):,} characters are no formula")
    text = _pattern(_UNITS).sub(_unit, text.replace("\\$", "").translate(_UNICODE))
    found: list[Token] = []
    pattern = _pattern(_LEXEME)
    at, spaced = 0, False
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            raise NotMathError(f"{text[at]!r} is no mathematics")
        at = match.end()
        kind = match.lastgroup or ""
        value = match[kind]
        if kind == "command":
            value = COMMANDS.get(value, value)
            if value in _DROPPED:
                continue
        if kind == "space":
            spaced = True
            continue
        found.append(Token(kind, value, match.start(), spaced))
        spaced = False
    return [*found, Token("end", "the end", at, spaced)]


class Cursor:
    """A place among the words; what reads a formula moves it on."""

    def __init__(self, words: list[Token]) -> None:
        self._tokens = words
        self._at = self._depth = 0

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> str | None:
        token = self._now
        if token.kind != "end" and token.text in texts:
            self._at += 1
            return token.text
        return None

    def _need(self, text: str) -> None:
        if self._take(text) is None:
            self._fail()

    def _fail(self) -> NoReturn:
        raise NotMathError(f"{self._now.text!r} was not expected")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotMathError("it is nested too deeply")

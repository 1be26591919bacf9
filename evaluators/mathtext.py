"""Reading mathematics as people and models write it: plain, or in LaTeX. Nothing is ever evaluated as code.

A text becomes a tree of `Node`; `mathvalue` computes it.
"""

import functools
import re
from fractions import Fraction
from typing import NamedTuple, NoReturn

LONGEST = 2000
_DEEPEST = 60
_MOST_OPERATIONS = 200
_FUNCTIONS = frozenset(
    "sqrt sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log lg exp abs".split()  # noqa: SIM905
)
_COMMANDS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "cdot": "*", "times": "*", "ast": "*", "div": "/", "le": "<=",
    "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">", "ne": "!=",
    "neq": "!=", "lvert": "|", "rvert": "|", "vert": "|", "lbrace": r"\{", "rbrace": r"\}", "cup": "cup", "in": "in",
    "pi": "pi", "infty": "inf", "infinity": "inf", "pm": "pm",
}  # fmt: skip
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


class _Token(NamedTuple):
    kind: str  # number, command, sign, word, end
    text: str
    at: int
    spaced: bool  # whether space stands before it


def read(text: str, *, percent_is_fraction: bool = False) -> Node:
    """The tree of a text. Raises NotMathError."""
    if len(text) > LONGEST:
        raise NotMathError(f"{len(text):,} characters are no formula")
    return _Parser(
        _tokens(_pattern(_UNITS).sub(_unit, text.replace("\\$", "").translate(_UNICODE))), percent_is_fraction
    ).whole()


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compiled when it is first needed: a command that starts imports every scorer."""
    return re.compile(text)


def _unit(match: re.Match[str]) -> str:
    words = (match[1] or "").strip().lower()
    return f" {words} " if words in ("and", "or") else " "


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
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
            value = _COMMANDS.get(value, value)
            if value in _DROPPED:
                continue
        if kind == "space":
            spaced = True
            continue
        tokens.append(_Token(kind, value, match.start(), spaced))
        spaced = False
    return [*tokens, _Token("end", "the end", at, spaced)]


class _Parser:
    """Recursive descent: lists > relations > sums > products > powers > primaries."""

    def __init__(self, tokens: list[_Token], percent_is_fraction: bool) -> None:
        self._tokens, self._percent = tokens, percent_is_fraction
        self._at = self._depth = self._bars = self._operations = 0

    def whole(self) -> Node:
        node = self._list()
        if self._now.kind != "end":
            self._fail()
        return node

    @property
    def _now(self) -> _Token:
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

    def _list(self) -> Node:
        """Values with commas between them, in any order: a set without braces."""
        parts = [self._relation()]
        while self._take(",", ";", "and", "or") is not None:
            self._take("and", "or")
            parts.append(self._relation())
        return parts[0] if len(parts) == 1 else Node("set", tuple(parts))

    def _relation(self) -> Node:
        parts, signs = [self._sum()], []
        while (sign := self._take("=", "<", ">", "<=", ">=", "!=", "in", "cup")) is not None:
            signs.append(sign)
            parts.append(self._sum())
        if not signs:
            return parts[0]
        return Node("relation", tuple(parts), name=" ".join(signs))

    def _sum(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotMathError("it is nested too deeply")
        node = self._product()
        while (sign := self._take("+", "-", "pm")) is not None:
            node = Node({"+": "add", "-": "sub", "pm": "pm"}[sign], (node, self._product()))
        self._depth -= 1
        return node

    def _product(self) -> Node:
        node = self._signed()
        while True:
            sign = self._take("*", "/")
            if sign is not None:
                node = Node("mul" if sign == "*" else "div", (node, self._signed()))
            elif self._begins_factor(node):
                node = Node("mul", (node, self._power()))
            else:
                return node

    def _signed(self) -> Node:
        negative = plus_minus = False
        while (sign := self._take("-", "+", "pm")) is not None:
            negative ^= sign == "-"
            plus_minus |= sign == "pm"
        node = self._power()
        if plus_minus:
            return Node("pm", (Node("number"), node))
        return Node("neg", (node,)) if negative else node

    def _begins_factor(self, before: Node) -> bool:
        token = self._now
        if token.kind == "number":
            # "2 3" is no product, "x2" is hardly one; "1 1/2" is read where numbers are.
            return False
        if token.kind == "word":
            return token.text not in ("and", "or")
        if token.kind == "command":
            return token.text not in _COMMANDS.values() or token.text in ("frac", "pi")
        return token.text in ("(", "{") or (token.text == "|" and not self._bars)

    def _power(self) -> Node:
        self._operations += 1
        if self._operations > _MOST_OPERATIONS:
            raise NotMathError(f"it has more than {_MOST_OPERATIONS} operations")
        base = self._postfix(self._primary())
        if self._take("^", "**") is not None:
            return self._postfix(Node("pow", (base, self._exponent())))
        return base

    def _exponent(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotMathError("it is nested too deeply")
        negative = self._take("-") is not None
        self._take("+")
        node = self._power() if self._now.text != "{" else self._chained(self._group("{", "}"))
        self._depth -= 1
        return Node("neg", (node,)) if negative else node

    def _chained(self, node: Node) -> Node:
        return Node("pow", (node, self._exponent())) if self._take("^", "**") is not None else node

    def _postfix(self, node: Node) -> Node:
        while (sign := self._take("!", "%", r"\%")) is not None:
            if sign == "!":
                node = Node("factorial", (node,))
            elif self._percent:
                node = Node("div", (node, Node("number", number=Fraction(100))))
        return node

    def _primary(self) -> Node:
        token = self._now
        if token.kind == "number":
            return self._number()
        if token.kind == "word":
            return self._word()
        if token.kind == "command":
            return self._command()
        if token.text in ("(", "["):
            return self._bracket(token.text)
        if token.text == "{":
            return self._group("{", "}")
        if token.text == r"\{":
            self._at += 1
            parts = self._items(r"\}")
            self._need(r"\}")
            return Node("set", parts)
        if token.text == "|" and not self._bars:
            self._at += 1
            self._bars += 1
            node = self._sum()
            self._need("|")
            self._bars -= 1
            return Node("abs", (node,))
        return self._fail()

    def _number(self) -> Node:
        token = self._now
        self._at += 1
        written = re.sub(r",|\{,\}|\\,", "", token.text)
        if len(written) > 300:
            raise NotMathError("a number has more than 300 digits")
        node = Node("number", number=Fraction(written))
        if "." not in written and (part := self._proper_fraction()) is not None:
            return Node("add", (node, part))  # 1\frac{1}{2} and 1 1/2 are mixed numbers
        return node

    def _proper_fraction(self) -> Node | None:
        start = self._at
        if self._now == self._now._replace(kind="command", text="frac"):
            node = self._command()
            if all(each.kind == "number" for each in node.parts):
                return node
        elif self._now.kind == "number" and self._now.spaced and "." not in self._now.text:
            over, slash, under = (*self._tokens[self._at : self._at + 3], self._tokens[-1], self._tokens[-1])[:3]
            if slash.text == "/" and under.kind == "number" and under.text.isdigit() and over.text.isdigit():
                self._at += 3
                parts = [Node("number", number=Fraction(each.text)) for each in (over, under)]
                return Node("div", tuple(parts))
        self._at = start
        return None

    def _word(self) -> Node:
        word = self._now.text
        lower = word.lower()
        if lower in _FUNCTIONS:
            self._at += 1
            return self._function(lower)
        if lower in ("pi", "inf", "infinity"):
            self._at += 1
            return Node("constant", name=lower[:3] if lower != "pi" else "pi")
        if len(word) > 2 or lower in ("is", "of", "to", "in", "it", "no", "so", "an", "at", "or"):
            raise NotMathError(f"{word!r} is a word")
        # Letters are variables, each by itself: xy is x times y.
        token = self._now
        self._tokens[self._at : self._at + 1] = [_Token("letter", each, token.at, False) for each in word]
        return self._letters(len(word))

    def _letters(self, count: int) -> Node:
        node = self._letter()
        for _ in range(count - 1):
            base = self._letter()
            if self._now.text in ("^", "**"):
                self._at += 1
                base = Node("pow", (base, self._exponent()))
            node = Node("mul", (node, base))
        return node

    def _letter(self) -> Node:
        name = self._now.text
        self._at += 1
        if self._take("_") is not None:
            name += "_" + self._subscript()
        return Node("constant", name=name) if name in ("e", "i") else Node("symbol", name=name)

    def _subscript(self) -> str:
        if self._take("{") is None:
            self._at += 1
            return self._tokens[self._at - 1].text
        start = self._at
        while self._now.kind != "end" and self._now.text != "}":
            self._at += 1
        self._need("}")
        return "".join(each.text for each in self._tokens[start : self._at - 1])

    def _command(self) -> Node:
        name = self._now.text
        self._at += 1
        if name == "frac":
            return Node("div", (self._argument(), self._argument()))
        if name == "sqrt" and self._now.text == "[":
            self._need("[")
            index = self._sum()
            self._need("]")
            return Node("root", (self._argument(), index))
        if name == "sqrt" and self._now.text == "{":
            return Node("sqrt", (self._argument(),))
        if name in ("boxed", "fbox"):
            return self._group("{", "}")
        if name in _FUNCTIONS:
            return self._function(name)
        if name in ("pi", "inf"):
            return Node("constant", name=name)
        if name in _COMMANDS.values():
            self._at -= 1
            self._fail()
        if name in ("alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "phi", "omega", "sigma", "rho", "tau"):
            return Node("symbol", name=name)
        raise NotMathError(f"\\{name} is not known")

    def _argument(self) -> Node:
        """A group in braces, or one digit, letter or command, as TeX takes it: \\frac12 is a half."""
        token = self._now
        if token.text == "{":
            return self._group("{", "}")
        if token.kind == "number" and token.text.isdigit():
            first, rest = token.text[0], token.text[1:]
            if rest:
                self._tokens[self._at] = token._replace(text=rest)
            else:
                self._at += 1
            return Node("number", number=Fraction(first))
        return self._primary()

    def _function(self, name: str) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotMathError("it is nested too deeply")
        base = power = None
        while self._now.text in ("_", "^"):
            if self._take("_") is not None:
                base = self._argument()
            else:
                self._at += 1
                power = self._exponent()
        if self._now.text in ("(", "{"):
            inner = self._group(self._now.text, ")" if self._now.text == "(" else "}")
        else:
            inner = self._power()
            while self._now.kind in ("word", "number") and name not in ("sqrt", "abs"):
                inner = Node("mul", (inner, self._power()))  # \\sin 2x
        self._depth -= 1
        node = Node("logarithm", (inner, base)) if base is not None else Node(name, (inner,))
        return node if power is None else Node("pow", (node, power))

    def _group(self, opening: str, closing: str) -> Node:
        self._need(opening)
        node = self._list()
        self._need(closing)
        return node

    def _bracket(self, opening: str) -> Node:
        """A bracketed value; with commas, or with a square bracket, a tuple, an interval or a list, which keeps its order."""
        self._at += 1
        parts = self._items(")", "]")
        closing = self._take(")", "]")
        if closing is None:
            self._fail()
        if len(parts) == 1 and opening == "(" and closing == ")":
            return parts[0]
        return Node("tuple", parts, name=opening + closing)

    def _items(self, *closing: str) -> tuple[Node, ...]:
        parts = []
        bars, self._bars = self._bars, 0
        while self._now.text not in closing:
            parts.append(self._relation())
            if self._take(",", ";") is None:
                break
        self._bars = bars
        if not parts:
            self._fail()
        return tuple(parts)

"""The template language of prompts: a subset of Jinja, run by minijinja. Variables, `if`, `for`, a few filters.

Templates are untrusted: whoever may write a prompt may write one. Three fences stand around minijinja.

* An allow-list of tokens is read before it compiles anything. Calls, assignments, macros, inclusion, arithmetic, names that
  begin with an underscore and everything else that is not listed here are refused with their line.
* Values are copied into containers that have no methods, so that dotted access reaches keys alone.
* Steps, time and output are bounded. minijinja's fuel counts instructions; every emitted value passes `_emit`, every
  literal text inside a loop is preceded by a hidden `_text` filter that counts it, and both look at the clock.
"""

import re
import threading
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

import minijinja
import msgspec

from app.kit.errors import FieldError, InvalidContentError

FILTERS = frozenset(
    ["capitalize", "default", "first", "join", "last", "length", "lower", "round", "title", "tojson", "trim", "upper"]
)
TESTS = frozenset({"defined", "undefined", "none", "string", "number"})
STATEMENTS = frozenset({"if", "elif", "else", "endif", "for", "endfor"})
MAX_SOURCE = 256 * 1024
MAX_OUTPUT = 1024 * 1024
MAX_TOKENS_OF_A_TAG = 100
MAX_TOKENS = 2_000
MAX_SECONDS = 0.1
FUEL = 1_000_000

_KEYWORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"})
_BEFORE_GROUP = frozenset(
    ["and", "or", "not", "in", "if", "elif", "else", "(", ",", "[", "==", "!=", "<", "<=", ">", ">="]
)
_HINTS = {"raw": "; write {{ '{{' }} for literal braces"}
_OPENING = re.compile(r"\{\{|\{%|\{#")
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<end>[-+]?(?:%\}|\}\}))
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<number>-?\d+(?:\.\d+)?(?!\w))
      | (?P<name>[A-Za-z_]\w*)
      | (?P<operator>==|!=|<=|>=|[<>|.,()\[\]])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class TemplateError(InvalidContentError):
    """A template that is not allowed, or cannot be rendered with these variables. `line` is 1-based, if it is known."""

    def __init__(self, message: str, line: int | None = None, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(f"line {line}: {message}" if line else message, list(errors))
        self.message = message
        self.line = line


class MissingVariableError(TemplateError):
    """The template uses a variable that was not given."""

    def __init__(self, name: str, line: int | None = None) -> None:
        super().__init__(f"the variable {name!r} is not given", line)
        self.name = name


def check(source: str) -> frozenset[str]:
    """The variables that `source` needs from outside (loop variables are its own); `TemplateError` if it is not allowed."""
    return _compiled(source).names


def render(source: str, variables: Mapping[str, Any]) -> str:
    """`source` with `variables` (plain JSON data) filled in; nothing is escaped, `None` and `True` look as in Jinja.

    Raises `MissingVariableError` for a variable that is used and not given (`is defined` and `default` may ask), and
    `TemplateError` for everything else, among them more than 1 MiB of output or 100 ms of work.
    """
    template = _compiled(source)
    if template.parts is not None:
        plain = _joined(template.parts, variables)
        if plain is not None:
            return plain
    try:
        data = {name: _data(variables[name]) for name in template.names if name in variables}
    except RecursionError:
        raise TemplateError("the variables are nested too deeply") from None
    _meter.left, _meter.deadline = MAX_OUTPUT - template.text_bytes, time.thread_time() + MAX_SECONDS
    try:
        return template.environment.render_template("template", **data)
    except minijinja.TemplateError as error:
        raise _translated(error, variables) from error


def insert(source: str, texts: Mapping[str, str]) -> str:
    """`source` with each bare `{{ name }}` of `texts` replaced by that text, which is template source itself.

    Raises `TemplateError` where such a name is used in another way than alone, where a loop or a brace beside it would change
    what the text means, and for all that `check` refuses.
    """
    scan, pieces, position = _Scan(source), [], 0
    used: set[str] = set()
    for start, end, name in scan.bare:
        if name in texts:
            pieces += [source[position:start], texts[name]]
            position = end
            used.add(name)
    pieces.append(source[position:])
    if misused := sorted(check("".join(pieces[::2])) & set(texts)):
        raise TemplateError(f"the fragment {misused[0]!r} stands alone: write {{{{ {misused[0]} }}}}")
    if sum(map(len, pieces)) > MAX_SOURCE:  # before they are joined: a few bytes may stand for gigabytes
        raise TemplateError(f"a template with its fragments in their places has at most {MAX_SOURCE} characters")
    for name in sorted(used):
        if taken := sorted(scan.targets & {name, *check(texts[name])}):
            raise TemplateError(
                f"a loop gives {taken[0]!r} a value, which the fragment {name!r} needs; rename it there"
            )
    before = ""
    for piece in pieces:
        if before.endswith("{") and piece[:1] in ("{", "%", "#"):
            raise TemplateError("a brace beside a fragment would begin a tag; put something between them")
        before = piece or before
    result = "".join(pieces)
    check(result)
    return result


class _Template(NamedTuple):
    """`text_bytes` is the literal text outside of loops. `parts` (text, then name or none) if that is all there is."""

    environment: minijinja.Environment
    names: frozenset[str]
    text_bytes: int
    parts: tuple[tuple[str, str | None], ...] | None


@lru_cache(maxsize=512)
def _compiled(source: str) -> _Template:
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"a template has at most {MAX_SOURCE} characters")
    scan = _Scan(source)
    environment = minijinja.Environment(
        filters={"_text": _text, "tojson": _tojson, "join": _join},
        fuel=FUEL,
        undefined_behavior="strict",
        auto_escape_callback=lambda _name: False,
        keep_trailing_newline=True,
        finalizer=_emit,
        pycompat=False,
    )
    for name in ("range", "dict", "debug", "namespace"):
        environment.remove_global(name)
    try:
        names = environment.undeclared_variables_in_str(source)
        environment.add_template("template", scan.metered)
    except minijinja.TemplateError as error:
        raise TemplateError(error.detail or error.message, error.line) from error
    return _Template(environment, frozenset(names), scan.text_bytes, scan.parts)


class _Scan:
    """One pass over a template: refuses what is not allowed, and inserts the counters of literal text in loops."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = 0
        self._loops = 0
        self.text_bytes = 0
        self.bare: list[tuple[int, int, str]] = []
        """Where a tag begins and ends that shows one variable and nothing else, and the variable's name."""
        self.targets: set[str] = set()
        """The names that loops give values."""
        output: list[str] = []
        parts: list[tuple[str, str | None]] | None = []
        position, trims = 0, False
        while True:
            opening = _OPENING.search(source, position)
            start = opening.start() if opening else len(source)
            text = source[position:start]
            if self._loops > 0:
                output.append(f"{{{{ {len(text.encode())}|_text {'-' if trims else ''}}}}}")
            else:
                self.text_bytes += len(text.encode())
            output.append(text)
            if opening is None:
                break
            position, name = self._comment(start) if opening[0] == "{#" else self._tag(start)
            tag = source[start:position]
            trims = tag[-3] == "-"
            output.append(tag)
            bare = name is not None and tag[2] not in "-+" and tag[-3] not in "-+"
            if bare and name is not None:
                self.bare.append((start, position, name))
            if parts is not None:
                parts = [*parts, (text, name)] if bare else None
        self.parts = None if parts is None else (*parts, (text, None))
        self.metered = "".join(output)

    def _refuse(self, position: int, message: str) -> TemplateError:
        return TemplateError(message, self._source.count("\n", 0, position) + 1)

    def _comment(self, start: int) -> tuple[int, None]:
        end = self._source.find("#}", start + 2)
        if end < 0:
            raise self._refuse(start, "this comment is not closed: `#}` is missing")
        return end + 2, None

    def _tag(self, start: int) -> tuple[int, str | None]:
        """Where the tag at `start` ends, and the variable's name if it shows one variable and nothing else."""
        source, statement = self._source, self._source.startswith("{%", start)
        position = start + 2 + (source[start + 2 : start + 3] in ("-", "+"))
        tokens: list[tuple[str, str, int]] = []
        while True:
            match = _TOKEN.match(source, position)
            if match is None:
                if position >= len(source):
                    raise self._refuse(start, f"this tag is not closed: `{'%}' if statement else '}}'}` is missing")
                raise self._refuse(position, f"{source[position]!r} is not allowed in a template's tag")
            position = match.end()
            kind, text = str(match.lastgroup), match[0]
            if kind == "end":
                if text[-2:] != ("%}" if statement else "}}"):
                    raise self._refuse(match.start(), f"`{source[start : start + 2]}` is closed by `{text[-2:]}`")
                break
            if kind == "space":
                continue
            if statement and not tokens and text not in STATEMENTS:
                known = ", ".join(sorted(STATEMENTS)) + _HINTS.get(text, "")
                raise self._refuse(match.start(), f"`{text}` is not allowed; statements are {known}")
            tokens.append((kind, text, match.start()))
        self._tokens += len(tokens)
        if len(tokens) > MAX_TOKENS_OF_A_TAG or self._tokens > MAX_TOKENS:
            limits = f"at most {MAX_TOKENS_OF_A_TAG} tokens in a tag and {MAX_TOKENS} in a template"
            raise self._refuse(start, f"too much logic: {limits}")
        if not tokens:
            raise self._refuse(start, "this tag is empty")
        keyword = tokens.pop(0)[1] if statement else None
        self._expression(tokens, keyword)
        self._loops += {"for": 1, "endfor": -1}.get(keyword or "", 0)
        if keyword == "for":
            named = takewhile(lambda token: token[1] != "in", tokens)
            self.targets |= {"loop", *(text for kind, text, _ in named if kind == "name")}
        bare = not statement and len(tokens) == 1 and tokens[0][0] == "name" and tokens[0][1] not in _KEYWORDS
        return position, tokens[0][1] if bare else None

    def _expression(self, tokens: list[tuple[str, str, int]], keyword: str | None) -> None:
        before, after_pipe, conditions = "", False, int(keyword == "for")
        for i, (kind, text, position) in enumerate(tokens):
            following = tokens[i + 1][1] if i + 1 < len(tokens) else ""
            groups = after_pipe or before in _BEFORE_GROUP or (not before and keyword in (None, "if", "elif"))
            if text == "(" and not groups:
                raise self._refuse(position, f"`{before}(…)` is a call; templates call nothing")
            if before == "." and kind != "name":
                raise self._refuse(position, "a name follows a dot; use x[0] for the first of a list")
            after_pipe = before == "|"
            if after_pipe and text not in FILTERS:
                raise self._refuse(
                    position, f"the filter {text!r} is not allowed; filters are {', '.join(sorted(FILTERS))}"
                )
            if kind == "name" and not after_pipe:
                self._name(text, before, following, position)
            tested = before == "is" or (before == "not" and i > 1 and tokens[i - 2][1] == "is")
            if tested and text not in TESTS and text != "not":
                raise self._refuse(position, f"the test {text!r} is not allowed; tests are {', '.join(sorted(TESTS))}")
            if kind == "name" and before != ".":
                conditions += {"if": -1, "else": 1}.get(text, 0)
            before = text if kind != "string" else "…"
        if conditions < 0 or (keyword != "for" and conditions):
            raise self._refuse(tokens[0][2], "`a if b` needs `else`")

    def _name(self, text: str, before: str, following: str, position: int) -> None:
        if text.startswith("_"):
            raise self._refuse(position, f"{text!r}: names do not begin with an underscore")
        if text == "loop" and before != "." and following != ".":
            raise self._refuse(position, "`loop` has fields, such as loop.index; it is not a value")
        if before == "." and following == "(":
            raise self._refuse(position, f"`.{text}(…)` is a call; templates call nothing")


class _Meter(threading.local):
    """What the render that runs on this thread may still do."""

    left = 0
    deadline = 0.0


_meter = _Meter()


def _spend(size: int) -> None:
    _meter.left -= size
    if _meter.left < 0:
        raise TemplateError(f"the output is larger than {MAX_OUTPUT} bytes")
    if time.thread_time() > _meter.deadline:
        raise TemplateError(f"rendering takes more than {MAX_SECONDS * 1000:.0f} ms")


def _emit(value: Any) -> str:
    text = value if type(value) is str else str(value)
    _spend(len(text) if text.isascii() else len(text.encode(errors="surrogatepass")))
    return text


def _text(size: int) -> str:
    _spend(size)
    return ""


def _tojson(value: Any) -> str:
    return _bounded(msgspec.json.encode(value).decode())


def _join(value: Any, separator: str = "") -> str:
    if not isinstance(value, str | list) or not isinstance(separator, str):
        raise TemplateError("join needs a list and a separator that is text")
    if len(separator) * len(value) > MAX_OUTPUT:
        raise TemplateError(f"the output is larger than {MAX_OUTPUT} bytes")
    return _bounded(separator.join(map(str, value)))


def _bounded(text: str) -> str:
    if len(text) > MAX_OUTPUT:
        raise TemplateError(f"the output is larger than {MAX_OUTPUT} bytes")
    return text


class _Hidden:
    """Stands where a container's method would be: minijinja takes an attribute that is not there for an undefined value."""

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        raise AttributeError


def _without_methods(name: str, base: type) -> type:
    hidden = {method: _Hidden() for method in dir(base) if not method.startswith("__")}
    return type(name, (base,), {"__slots__": (), **hidden})


_Dict = _without_methods("_Dict", dict)
_List = _without_methods("_List", list)


def _data(value: Any) -> Any:
    """A copy of plain JSON data whose containers have no methods; numbers, text, booleans and none as they are."""
    kind = type(value)
    if kind is str or value is None or kind in (bool, float):
        return value
    if kind is int:
        if value.bit_length() > 127:
            raise TemplateError("an integer is too large; give it as text")
        return value
    if kind is dict:
        return _Dict((key, _data(inner)) for key, inner in value.items())
    if kind in (list, tuple):
        return _List(map(_data, value))
    raise TemplateError(f"a value of type {kind.__name__} is not plain data")


def _joined(parts: tuple[tuple[str, str | None], ...], variables: Mapping[str, Any]) -> str | None:
    """The same as minijinja renders, for text and bare names whose values are text; none when it is not that simple."""
    pieces = []
    for text, name in parts:
        pieces.append(text)
        if name is not None:
            if name not in variables:
                raise MissingVariableError(name)
            value = variables[name]
            if type(value) is not str:
                return None
            pieces.append(value)
    result = "".join(pieces)
    if len(result) * 4 > MAX_OUTPUT and len(result.encode(errors="surrogatepass")) > MAX_OUTPUT:
        raise TemplateError(f"the output is larger than {MAX_OUTPUT} bytes")
    return result


def _translated(error: minijinja.TemplateError, variables: Mapping[str, Any]) -> TemplateError:
    detail = error.detail or error.message
    if error.kind == "UndefinedError":
        path = re.match(r"`([A-Za-z]\w*)", detail)
        if path and path[1] not in variables:
            return MissingVariableError(path[1], error.line)
        return TemplateError(f"{detail if path else 'this has no value here'}; give it, or use `default`", error.line)
    if error.kind == "OutOfFuel":
        return TemplateError("rendering takes too many steps", error.line)
    return TemplateError(detail, error.line)

"""Reading SQL that a model wrote, and a form of it in which queries that mean the same look the same."""

import functools
import hashlib
import logging
import re
from collections import Counter
from typing import TYPE_CHECKING

from evaluators.text import clip, without_surrogates

if TYPE_CHECKING:
    from sqlglot import exp

# The parser is written in Python: this many characters take it half a second.
LONGEST = 20_000
_FENCE = re.compile(r"\s*```[\w+-]*\n(.*?)\n?```\s*", re.DOTALL)


class NotSQLError(ValueError):
    """The text is not SQL; the message says why."""


class TooLongError(ValueError):
    """The text is longer than the parser can read in time."""


def unfenced(text: str) -> str:
    """What stands in the Markdown code block that the text consists of, or the text."""
    if not text.lstrip().startswith("```"):
        return text
    match = _FENCE.fullmatch(text)
    return match[1] if match else text


@functools.cache
def known_dialects() -> frozenset[str]:
    from sqlglot.dialects import Dialects

    return frozenset(each.value for each in Dialects if each.value)


def parse(text: str, dialect: str | None = None) -> list["exp.Expr"]:
    """The statements: queries, and what writes to tables or defines them.

    Raises NotSQLError, also for prose that a lenient parser takes for an expression or a command, and TooLongError.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if not text.strip():
        raise NotSQLError("the output is empty")
    if len(text) > LONGEST:
        raise TooLongError(f"{len(text):,} characters of SQL would take too long; at most {LONGEST:,} are read")
    # It logs what it cannot read, and a model's text has no place in a log.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        statements = [each for each in sqlglot.parse(without_surrogates(text), read=dialect) if each is not None]
    except RecursionError as exc:
        raise NotSQLError("the SQL is nested too deeply") from exc
    except SqlglotError as exc:
        raise NotSQLError(f"the output is not SQL: {_reason(exc)}") from exc
    kinds = (
        exp.Query,
        exp.Values,
        exp.Insert,
        exp.Update,
        exp.Delete,
        exp.Merge,
        exp.Create,
        exp.Drop,
        exp.Alter,
        exp.TruncateTable,
    )
    for each in statements:
        hollow = isinstance(each, exp.Select | exp.Update) and not each.expressions
        if not isinstance(each, kinds) or hollow:
            raise NotSQLError(f"the output is no SQL statement: {clip(text)}")
    if not statements:
        raise NotSQLError("the output holds no SQL statement")
    return statements


def canonical(statement: "exp.Expr", dialect: str | None = None) -> bytes:
    """A digest of the statement that does not depend on how it is written.

    Case of names, quotes, comments, needless brackets, names of tables' aliases and of a query's columns, the order of
    AND, OR, IN lists and of operands of = and <>, the side of < and >, BETWEEN, and INNER do not count.
    """
    from sqlglot import exp
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

    tree = normalize_identifiers(statement.copy(), dialect=dialect)
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("quoted", False)
    tables = Counter(table.name for table in tree.find_all(exp.Table))
    for select in tree.find_all(exp.Select):
        _name_sources(select, tables)
    if isinstance(tree, exp.Select):
        used = {column.name for column in tree.find_all(exp.Column)}
        tree.set(
            "expressions",
            [
                each.unalias() if each.alias == each.unalias().name or each.alias not in used else each
                for each in tree.expressions
            ],
        )
    for join in tree.find_all(exp.Join):
        if join.args.get("kind") == "INNER":
            join.set("kind", None)
    digests = _Digests()
    for node in reversed(list(tree.bfs())):  # parts before what they are parts of: one look at each
        digests.add(node)
    return digests.of(tree)


def _name_sources(select: "exp.Select", uses: Counter[str]) -> None:
    """Tables that stand once in the statement lose their aliases; with one table, its columns lose the qualifier."""
    from sqlglot import exp

    joins = select.args.get("joins") or []
    sources = [each.this for each in (select.args.get("from_"), *joins) if each is not None]
    tables = [each for each in sources if isinstance(each, exp.Table)]
    if len(tables) != len(sources) or any(uses[table.name] > 1 for table in tables):
        return
    aliases = {table.alias: table.name for table in tables if table.alias}
    for table in tables:
        table.set("alias", None)
    for column in select.find_all(exp.Column):
        if column.table in aliases:
            column.set("table", exp.to_identifier(aliases[column.table]))
        if len(tables) == 1 and column.table == tables[0].name and column.parent_select is select:
            column.set("table", None)


class _Digests:
    """Digests of expressions by identity, each made of its parts'."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}
        self._parts: dict[int, set[bytes]] = {}  # of chains of AND and of OR

    def of(self, node: "exp.Expr") -> bytes:
        return self._known[id(node)]

    def add(self, node: "exp.Expr") -> None:
        from sqlglot import exp

        if isinstance(node, exp.Paren):
            self._known[id(node)] = self.of(node.this)
            if id(node.this) in self._parts:
                self._parts[id(node)] = self._parts[id(node.this)]
        elif isinstance(node, exp.And | exp.Or):
            self._chain(node)
        elif isinstance(node, exp.Between):
            low = _digest("LTE", [self.of(node.args["low"]), self.of(node.this)])
            high = _digest("LTE", [self.of(node.this), self.of(node.args["high"])])
            self._parts[id(node)] = {low, high}
            self._known[id(node)] = _digest("And", sorted({low, high}))
        elif isinstance(node, exp.EQ | exp.NEQ):
            self._known[id(node)] = _digest(type(node).__name__, sorted([self.of(node.this), self.of(node.expression)]))
        elif isinstance(node, exp.GT | exp.GTE):
            name = "LT" if isinstance(node, exp.GT) else "LTE"
            self._known[id(node)] = _digest(name, [self.of(node.expression), self.of(node.this)])
        elif isinstance(node, exp.LT | exp.LTE):
            self._known[id(node)] = _digest(type(node).__name__, [self.of(node.this), self.of(node.expression)])
        else:
            self._known[id(node)] = self._plain(node)

    def _chain(self, node: "exp.And | exp.Or") -> None:
        from sqlglot import exp

        parts: set[bytes] = set()
        for side in (node.this, node.expression):
            inner = side.unnest()
            same = type(inner) is type(node) or (isinstance(node, exp.And) and isinstance(inner, exp.Between))
            more = self._parts[id(side)] if same else {self.of(side)}
            if len(more) > len(parts):  # a chain leans to one side: its set grows, and is never copied
                parts, more = more, parts
            parts |= more
        self._parts[id(node)] = parts
        self._known[id(node)] = _digest(type(node).__name__, sorted(parts)) if not _inside_chain(node) else b""

    def _plain(self, node: "exp.Expr") -> bytes:
        from sqlglot import exp

        written: list[bytes] = []
        for name in sorted(node.args):
            value = node.args[name]
            if value is None or value is False or value == []:
                continue
            each = value if isinstance(value, list) else [value]
            digests = [self.of(one) if isinstance(one, exp.Expr) else repr(one).encode() for one in each]
            written += [name.encode(), *(sorted(digests) if isinstance(node, exp.In) else digests)]
        return _digest(type(node).__name__, written)


def _inside_chain(node: "exp.Expr") -> bool:
    return type(node.parent) is type(node)


def _digest(name: str, parts: list[bytes]) -> bytes:
    return hashlib.blake2b(b"\0".join([name.encode(), *parts]), digest_size=16).digest()


def _reason(exc: Exception) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(exc)).splitlines()
    return text[0][:200] if text else type(exc).__name__

"""Which tables and columns of the database a statement touches, apart from the names that it gives itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from evaluators.sqltext import NotSQLError

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope


class Touched(NamedTuple):
    """A column, or `*`, and the tables that it may be of; names are in lower case."""

    column: str
    tables: tuple[str, ...]


def tables(statement: "exp.Expr") -> set[str]:
    """The full names (`schema.table`) of the tables, in lower case. Raises NotSQLError."""
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    # A name is a query's own only where that query is in reach: WITH users AS (SELECT … FROM users) reads users.
    own = {
        id(node)
        for scope in _scopes(statement)
        for _, (node, source) in scope.selected_sources.items()
        if isinstance(source, Scope)
    }
    return {_full_name(each) for each in statement.find_all(exp.Table) if id(each) not in own}


def columns(statement: "exp.Expr") -> Iterator[Touched]:
    """The columns of tables; COUNT(*) reads none. Raises NotSQLError."""
    from sqlglot import exp

    scopes = _scopes(statement)
    for scope in scopes:
        named = {each.lower() for each in getattr(scope.expression, "named_selects", ())}
        for column in scope.columns:
            if (
                not column.table
                and column.name.lower() in named
                and column.find_ancestor(exp.Order, exp.Group, exp.Having)
            ):
                continue
            yield from _touched(column.name, column.table, scope)
    by_query = {id(scope.expression): scope for scope in scopes}
    for star in statement.find_all(exp.Star):
        if isinstance(star.parent, exp.Count):
            continue
        table = star.parent.table if isinstance(star.parent, exp.Column) else ""
        scope_of_star = by_query.get(id(star.find_ancestor(exp.Select)))
        yield from _touched("*", table, scope_of_star) if scope_of_star else [Touched("*", (table.lower(),))]
    written = [each.name.lower() for each in statement.find_all(exp.Table) if each.find_ancestor(exp.Query) is None]
    for column in statement.find_all(exp.Column):
        if column.find_ancestor(exp.Query) is None and not isinstance(column.this, exp.Star):
            yield Touched(column.name.lower(), (column.table.lower(),) if column.table else tuple(written))
    for target in statement.find_all(exp.Insert):
        if isinstance(target.this, exp.Schema):
            yield from (Touched(each.name.lower(), tuple(written)) for each in target.this.expressions)


def _touched(name: str, qualifier: str, scope: "Scope") -> Iterator[Touched]:
    """What a name in a query reads; nothing where it is the name of another query's column, which is looked at there."""
    from sqlglot import exp

    found: list[exp.Table] = []
    at: Scope | None = scope
    while at is not None:
        for alias, source in at.sources.items():
            if qualifier and alias.lower() != qualifier.lower():
                continue
            if isinstance(source, exp.Table):
                found.append(source)
            elif qualifier:
                return
        if found:
            break
        at = at.parent
    if found or qualifier:
        yield Touched(name.lower(), tuple(each.name.lower() for each in found) or (qualifier.lower(),))


def _scopes(statement: "exp.Expr") -> list["Scope"]:
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import traverse_scope

    try:
        return list(traverse_scope(statement))
    except (SqlglotError, RecursionError) as exc:
        raise NotSQLError("its tables and columns cannot be told apart") from exc


def _full_name(table: "exp.Table") -> str:
    return ".".join(part.name.lower() for part in table.parts)

"""Whether the output is SQL, and touches only what it may."""

from typing import TYPE_CHECKING

from evaluators import sqltext
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip

if TYPE_CHECKING:
    from sqlglot import exp


class IsSQL(Scorer, frozen=True):
    """1 when the whole output is SQL of the dialect that touches only allowed tables and columns, else 0.

    SQL are queries, INSERT, UPDATE, DELETE, MERGE, CREATE, DROP, ALTER and TRUNCATE; `read_only` allows only queries. The
    parser is lenient: prose that happens to be a query, such as "select one", passes. `allowed_tables` and
    `allowed_columns` list names without regard to case; a column is listed as `name` or as `table.name` (with the
    table's name, not its alias), `*` as "*". Names that a query gives itself (WITH, AS) need not be listed. Code fences
    are not dropped; an empty output is 0, one above 20,000 characters an error. Range {0, 1}, higher is better.

    Source: sqlglot 30; the arguments are those of promptfoo's `is-sql`.
    """

    name = "is_sql"
    binary = True
    example = {"dialect": "postgres", "allowed_tables": ["orders"], "read_only": True}

    dialect: str | None = None
    allowed_tables: list[str] | None = None
    allowed_columns: list[str] | None = None
    read_only: bool = False

    def check(self) -> None:
        super().check()
        if self.dialect is not None and self.dialect not in sqltext.known_dialects():
            known = ", ".join(sorted(sqltext.known_dialects()))
            raise ScorerConfigError(f"there is no dialect {self.dialect!r}; known are {known}", "/args/dialect")

    def measure(self, sample: Sample) -> Score:
        try:
            statements = sqltext.parse(sample.output, self.dialect)
            refused = [reason for each in statements for reason in self._refused(each)]
        except sqltext.NotSQLError as exc:
            return self.scored(0.0, f"{exc}; found {clip(sample.output)}")
        except sqltext.TooLongError as exc:
            return Score.error(str(exc))
        if refused:
            return self.scored(0.0, f"not allowed: {', '.join(refused[:5])}", evidence={"refused": refused[:50]})
        return self.scored(1.0, "the output is SQL" + (" that touches what it may" if self._limits else ""))

    @property
    def _limits(self) -> bool:
        return self.allowed_tables is not None or self.allowed_columns is not None or self.read_only

    def _refused(self, statement: "exp.Expr") -> list[str]:
        from sqlglot import exp

        refused = []
        writing = statement.find(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter)
        if self.read_only and (writing is not None or not isinstance(statement, exp.Query)):
            refused.append((writing or statement).key.upper())
        own = {each.alias.lower() for each in statement.find_all(exp.CTE)}
        tables = [each for each in statement.find_all(exp.Table) if each.name.lower() not in own]
        if self.allowed_tables is not None:
            allowed = {each.lower() for each in self.allowed_tables}
            touched = {_full_name(each): each.name.lower() for each in tables}
            refused += sorted(f"table {full}" for full, name in touched.items() if not {full, name} & allowed)
        if self.allowed_columns is not None:
            aliases = {each.alias.lower(): each.name.lower() for each in tables if each.alias}
            refused += sorted(set(self._columns(statement, aliases, own)))
        return refused

    def _columns(self, statement: "exp.Expr", aliases: dict[str, str], own: set[str]) -> list[str]:
        from sqlglot import exp

        allowed = {each.lower() for each in self.allowed_columns or []}
        given = {each.alias.lower() for each in statement.find_all(exp.Alias)} | {"*"} & allowed
        refused = []
        # COUNT(*) reads no column; the star of t.* is seen as that column.
        stars = [each for each in statement.find_all(exp.Star) if not isinstance(each.parent, exp.Count | exp.Column)]
        names = [("*", "") for _ in stars]
        names += [(each.name.lower(), each.table.lower()) for each in statement.find_all(exp.Column)]
        for name, table in names:
            table = aliases.get(table, table)
            if name in allowed or f"{table}.{name}" in allowed or table in own or (not table and name in given):
                continue
            refused.append(f"column {table}.{name}" if table else f"column {name}")
        if isinstance(statement, exp.Insert) and isinstance(statement.this, exp.Schema):
            written = [each.name.lower() for each in statement.this.expressions]
            table = statement.this.this.name.lower()
            refused += [f"column {table}.{each}" for each in written if not {each, f"{table}.{each}"} & allowed]
        return refused


def _full_name(table: "exp.Table") -> str:
    return ".".join(part.name.lower() for part in table.parts)

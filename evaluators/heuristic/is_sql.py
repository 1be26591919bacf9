"""Whether the output is SQL, and touches only what it may."""

from typing import TYPE_CHECKING

from evaluators import sqlscopes, sqltext
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip

if TYPE_CHECKING:
    from sqlglot import exp


class IsSQL(Scorer, frozen=True):
    """1 when the whole output is SQL of the dialect that touches only allowed tables and columns, else 0.

    SQL are queries, INSERT, UPDATE, DELETE, MERGE, CREATE, DROP, ALTER and TRUNCATE; `read_only` allows only queries. The
    parser is lenient: prose that happens to be a query, such as "select one", passes. `allowed_tables` and
    `allowed_columns` list names without regard to case; a table in a schema is listed with it (`sales.orders`), a column as
    `name` or as `table.name` (with the table's name, not its alias), `*` as "*". Names that a query gives itself (WITH,
    AS) need not be listed. Code fences
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
        writing = statement.find(
            exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.Into
        )
        if self.read_only and (writing is not None or not isinstance(statement, exp.Query)):
            refused.append((writing or statement).key.upper())
        if self.allowed_tables is not None:
            allowed = {each.lower() for each in self.allowed_tables}
            refused += sorted(f"table {each}" for each in sqlscopes.tables(statement) - allowed)
        if self.allowed_columns is not None:
            allowed = {each.lower() for each in self.allowed_columns}
            found = {
                f"column {'.'.join([*each.tables[:1], each.column])}"
                for each in sqlscopes.columns(statement)
                if each.column not in allowed and not any(f"{table}.{each.column}" in allowed for table in each.tables)
            }
            refused += sorted(found)
        return refused

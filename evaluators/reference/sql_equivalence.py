"""Whether two SQL queries mean the same."""

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from evaluators import sqlrun, sqltext
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip, texts

if TYPE_CHECKING:
    from sqlglot import exp

_SHOWN = 5


class SQLEquivalence(Scorer, frozen=True):
    """Whether the output's query means the same as the reference's.

    Without `schema`: 1 when both are the same statement once case, quotes, comments, brackets, aliases, and the order of
    AND, OR, IN and = are out of the way, else 0; equal in this sense is equal in meaning, but not the reverse. With
    `schema` (CREATE and INSERT statements of SQLite, or of `dialect`) queries that differ are run on it, and their
    results compared by `mode`: `exact` gives 1 for the same rows, `f1` gives 2 * shared / (rows of both), counted with
    repeats. Rows are in order where the reference's query has ORDER BY (in `exact`); columns by position, their names do
    not count; numbers agree in ten digits. Range {0, 1}, with `f1` [0, 1], higher is better.

    Queries run in memory and can only read; after five million steps, or with an error, they are unparsable (0), as is
    what is no single statement, and an empty output. Code fences are dropped. A reference that is no SQL, or does not
    run, is skipped. Several references: the best counts.

    Source: parsing by sqlglot 30, running by SQLite; execution accuracy as in Spider (arXiv 1809.08887), row F1 as
    datacompy's in Ragas.
    """

    name = "sql_equivalence"
    needs = frozenset({"reference"})
    example = {"schema": "CREATE TABLE city (name TEXT, people INT); INSERT INTO city VALUES ('Rome', 3)", "mode": "f1"}

    dialect: str | None = None
    schema: str | None = None
    mode: Literal["exact", "f1"] = "exact"

    def check(self) -> None:
        super().check()
        if self.dialect is not None and self.dialect not in sqltext.known_dialects():
            known = ", ".join(sorted(sqltext.known_dialects()))
            raise ScorerConfigError(f"there is no dialect {self.dialect!r}; known are {known}", "/args/dialect")
        if self.schema is None:
            if self.mode == "f1":
                raise ScorerConfigError("rows can be compared only with a schema to run the queries on", "/args/mode")
            return
        try:
            self._database()
        except (sqlrun.QueryError, sqltext.NotSQLError, sqltext.TooLongError) as exc:
            raise ScorerConfigError(f"the schema cannot be made: {exc}", "/args/schema") from exc

    def verdict(self, value: float) -> bool | None:
        return value == 1 if self.threshold is None and self.mode == "exact" else super().verdict(value)

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and not any(each.strip() for each in texts(sample.references)):
            return f"{self.name} compares SQL, and the reference is empty or an object"
        return reason

    def measure(self, sample: Sample) -> Score:
        try:
            found = self._statement(sample.output)
        except sqltext.NotSQLError as exc:
            return Score.unparsable(str(exc))
        except sqltext.TooLongError as exc:
            return Score.error(str(exc))
        reasons, scores = [], []
        for each in texts(sample.references):
            try:
                scores.append(self._compared(found, self._statement(each)))
            except (sqltext.NotSQLError, sqltext.TooLongError, _ReferenceError) as exc:
                reasons.append(str(exc).replace("the output", "the reference"))
            except sqlrun.SlowError as exc:
                return Score.error(str(exc))
            except RecursionError:
                return Score.error("the queries are nested too deeply to be compared")
        if not scores:
            return Score.skipped(f"{self.name} cannot use the reference: {reasons[0]}")
        return max(scores, key=lambda score: (score.label is None, (1 - 2 * self.negate) * (score.value or 0.0)))

    def _compared(self, found: "exp.Expr", expected: "exp.Expr") -> Score:
        if sqltext.canonical(found, self.dialect) == sqltext.canonical(expected, self.dialect):
            if self.schema is not None:
                self._reference_table(expected)
            return self.scored(1.0, "both are the same statement, however written")
        if self.schema is None:
            return self.scored(0.0, "the statements differ; without a schema they were not run")
        wanted = self._reference_table(expected)
        try:
            got = sqlrun.run(self._database(), self._text(found))
        except sqlrun.QueryError as exc:
            return Score.unparsable(f"the query cannot be run: {exc}")
        return self._rows(got, wanted, ordered=bool(expected.args.get("order")))

    def _rows(self, got: sqlrun.Table, wanted: sqlrun.Table, *, ordered: bool) -> Score:
        shared = Counter(got.rows) & Counter(wanted.rows)
        both = len(got.rows) + len(wanted.rows)
        same_shape = len(got.columns) == len(wanted.columns)
        value = (2 * shared.total() / both if both else 1.0) if same_shape else 0.0
        explanation = f"{shared.total()} rows are shared; the output's result has {len(got.rows)}, the reference's {len(wanted.rows)}"
        if not same_shape:
            explanation = f"the output's result has {len(got.columns)} columns, the reference's {len(wanted.columns)}"
        if self.mode == "exact":
            if value == 1 and ordered and got.rows != wanted.rows:
                explanation = "the rows are the same, in another order"
                value = 0.0
            value = float(value == 1)
        evidence = {
            "missing": _some(Counter(wanted.rows) - Counter(got.rows)),
            "extra": _some(Counter(got.rows) - Counter(wanted.rows)),
        }
        return self.scored(value, explanation, evidence=evidence)

    def _reference_table(self, expected: "exp.Expr") -> sqlrun.Table:
        try:
            return sqlrun.run(self._database(), self._text(expected))
        except sqlrun.QueryError as exc:
            raise _ReferenceError(f"it cannot be run: {exc}") from exc

    def _statement(self, text: str) -> "exp.Expr":
        statements = sqltext.parse(sqltext.unfenced(text), self.dialect)
        if len(statements) > 1:
            raise sqltext.NotSQLError(f"the output holds {len(statements)} statements: {clip(text)}")
        return statements[0]

    def _text(self, statement: "exp.Expr") -> str:
        return statement.sql(dialect="sqlite", comments=False)

    def _database(self) -> bytes:
        schema = self.schema or ""
        if self.dialect not in (None, "sqlite"):
            schema = ";\n".join(self._text(each) for each in sqltext.parse(schema, self.dialect))
        return sqlrun.database(schema)


class _ReferenceError(Exception):
    """The reference cannot be used; that is the dataset's fault."""


def _some(rows: Counter[tuple[Any, ...]]) -> list[list[Any]]:
    return [[_short(each) for each in row[:20]] for row in list(rows)[:_SHOWN]]


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        return value[:50].hex()
    return value[:200] if isinstance(value, str) else value

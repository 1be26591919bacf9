"""SQL is compared by meaning, run where it can do no harm, and held to what it may touch."""

import time

import pytest

from evaluators import Sample, Score, ScorerConfigError, build

SCHEMA = """
CREATE TABLE city (name TEXT, people INT, country TEXT);
INSERT INTO city VALUES ('Rome', 3, 'it'), ('Bonn', 1, 'de'), ('Oslo', 2, 'no');
"""
QUERY = "SELECT name FROM city WHERE people > 1"


def scored(output: str, reference: str = QUERY, **args: object) -> Score:
    return build("sql_equivalence", args).score(Sample(output=output, reference=reference))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("select a from t where x=1 and y=2 and z=3", "SELECT A FROM T WHERE (z=3 AND (2=Y)) AND x=1"),
        ("select a from t where x between 1 and 3 and y=2", "select a from t where 1<=x and y=2 and x<=3"),
        ("select a from t where x in (1,2)", "select a from t where x in (2,1)"),
        ("select t.a as b from t", "select a from t -- a comment"),
        ("select u.a from t as u join v as w on u.id=w.id", "select t.a from t inner join v on v.id=t.id"),
        ('select "a" from t', "select a from t"),
        ("select a from t where x = (select max(q.b) from u q)", "select a from t where (select max(b) from u) = x"),
    ],
)
def test_the_same_statement_is_equal_however_it_is_written(left: str, right: str) -> None:
    assert scored(left, right).value == scored(right, left).value == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("select a from t where x=1 or y=2 and z=3", "select a from t where (x=1 or y=2) and z=3"),
        ("select a from t where x<1", "select a from t where x>1"),
        ("select 'A' from t", "select 'a' from t"),
        ("select a, b from t", "select b, a from t"),
        ("select distinct a from t", "select a from t"),
        ("select a from t left join u on t.i=u.i", "select a from t join u on t.i=u.i"),
        ("select a as b from t order by b", "select a from t order by b"),
        # What an alias tells apart stays apart.
        (
            "select x.a from t x where exists (select 1 from t where t.b = x.b)",
            "select x.a from t x where exists (select 1 from t where t.b = t.b)",
        ),
    ],
)
def test_statements_that_mean_something_else_are_never_equal(left: str, right: str) -> None:
    assert scored(left, right).value == scored(right, left).value == 0


def test_queries_that_differ_are_run_and_their_rows_compared() -> None:
    assert scored("SELECT name FROM city WHERE people >= 2").value == 0
    assert scored("SELECT name FROM city WHERE people >= 2", schema=SCHEMA).value == 1
    assert scored("SELECT name FROM city", schema=SCHEMA).value == 0
    half = scored("SELECT name FROM city", schema=SCHEMA, mode="f1")
    assert half.value == pytest.approx(2 * 2 / (3 + 2))
    assert half.evidence == {"missing": [], "extra": [["Bonn"]]}
    assert scored("SELECT name, people FROM city", schema=SCHEMA, mode="f1").value == 0
    assert scored("```sql\nSELECT name FROM city WHERE NOT people <= 1\n```", schema=SCHEMA).value == 1


def test_rows_have_an_order_only_where_the_reference_asks_for_one() -> None:
    downwards = "SELECT name FROM city ORDER BY people DESC"
    assert scored("SELECT name FROM city ORDER BY people ASC", downwards, schema=SCHEMA).value == 0
    assert scored("SELECT name FROM city ORDER BY 0 - people", downwards, schema=SCHEMA).value == 1
    assert scored(downwards, "SELECT name FROM city", schema=SCHEMA).value == 1


@pytest.mark.parametrize(
    "output",
    [
        "DROP TABLE city",
        "INSERT INTO city VALUES ('x', 1, 'y')",
        "ATTACH DATABASE '/tmp/x.db' AS x",
        "PRAGMA table_info(city)",
        "SELECT load_extension('x')",
        "SELECT randomblob(1e9)",
        "SELECT hex(zeroblob(1000000000))",
        "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r",
        "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT * FROM r",
        "SELECT a.name FROM city a, city b, city c, city d, city e, city f, city g, city h, city i, city j",
        "SELECT nme FROM city",
        "SELECT 'a\0b'",
        "SELECT name FROM city; SELECT 1",
        "Sure! Here is your query.",
        "Show me the city",
        "select",
        "SELECT " + "(" * 5000,
        "",
    ],
)
def test_what_is_no_harmless_query_with_an_end_is_unparsable_at_once(output: str) -> None:
    began = time.thread_time()
    score = scored(output, schema=SCHEMA)
    assert time.thread_time() - began < 2
    assert (score.status, score.value, score.label) == ("ok", 0, "unparsable"), score.explanation
    assert scored(QUERY + " AND 1 = 1", schema=SCHEMA).value == 1


def test_a_step_can_make_no_gigabytes() -> None:
    began = time.thread_time()
    grown = "WITH RECURSIVE r(x, y) AS (SELECT 1, printf('%19000d', 1) UNION ALL SELECT x + 1, printf('%19000d', x) FROM r) SELECT y FROM r ORDER BY y"
    assert scored(grown, schema=SCHEMA).value in (0, None)
    assert scored("SELECT printf('%1000000000d', 1)", schema=SCHEMA).value == 0
    assert time.thread_time() - began < 4


def test_a_reference_that_does_not_run_is_skipped_and_a_megabyte_is_an_error() -> None:
    assert scored("SELECT 1", "SELECT nothing FROM nowhere", schema=SCHEMA).status == "skipped"
    assert scored("SELECT 1", "no SQL").status == "skipped"
    assert scored("x" * 1_000_000).status == "error"


@pytest.mark.parametrize(
    ("args", "pointer"),
    [
        ({"dialect": "klingon"}, "/args/dialect"),
        ({"mode": "f1"}, "/args/mode"),
        ({"schema": "CREATE TABLE"}, "/args/schema"),
        ({"schema": "ATTACH 'x' AS y"}, "/args/schema"),
        (
            {
                "schema": "CREATE TABLE t AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT * FROM r"
            },
            "/args/schema",
        ),
    ],
)
def test_a_schema_that_cannot_be_made_is_refused(args: dict[str, object], pointer: str) -> None:
    with pytest.raises(ScorerConfigError) as raised:
        build("sql_equivalence", args)
    assert raised.value.pointer == pointer


def test_a_schema_of_another_dialect_is_translated() -> None:
    schema = "CREATE TABLE t (a SERIAL, b VARCHAR(9)); INSERT INTO t (a, b) VALUES (1, 'x')"
    score = scored("SELECT b FROM t WHERE a < 2", "SELECT b FROM t LIMIT 1", schema=schema, dialect="postgres")
    assert score.value == 1, score.explanation


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("SELECT id FROM orders", 1),
        ("SELECT ID FROM Orders", 1),
        ("SELECT o.total AS t FROM orders o ORDER BY t", 1),
        ("SELECT count(*) FROM orders", 1),
        ("WITH c AS (SELECT id FROM orders) SELECT * FROM c", 1),
        ("SELECT q.x FROM (SELECT id AS x FROM orders) q", 1),
        ("DELETE FROM orders WHERE id = 1", 1),
        ("SELECT * FROM orders", 0),
        ("SELECT o.* FROM orders o", 0),
        ("SELECT id FROM users", 0),
        ("SELECT id FROM hidden.orders", 0),
        ("SELECT secret FROM orders", 0),
        ("SELECT id FROM orders UNION SELECT id FROM users", 0),
        ("WITH users AS (SELECT id FROM users) SELECT id FROM users", 0),
        ("SELECT secret FROM orders WHERE id IN (SELECT id AS secret FROM orders)", 0),
        ("SELECT total AS secret, secret FROM orders", 0),
        ("WITH c AS (SELECT 1 AS x) SELECT c.secret FROM orders c", 0),
        ("SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM orders p WHERE p.id = o.secret)", 0),
        ("UPDATE orders SET secret = 1", 0),
        ("INSERT INTO orders (secret) VALUES (1)", 0),
        ("DELETE FROM orders WHERE secret = 1", 0),
        ("DROP TABLE users", 0),
    ],
)
def test_sql_touches_only_the_tables_and_columns_that_it_may(output: str, value: float) -> None:
    scorer = build("is_sql", {"allowed_tables": ["orders"], "allowed_columns": ["id", "orders.total"]})
    score = scorer.score(Sample(output=output))
    assert (score.status, score.value) == ("ok", value), score.explanation


def test_prose_is_no_sql_and_reading_can_be_demanded() -> None:
    for prose in ("hello world", "Show me how", "Drop it", "Begin", "Update the document", "1", ""):
        assert build("is_sql").score(Sample(output=prose)).value == 0
    reading = build("is_sql", {"read_only": True})
    assert reading.score(Sample(output="SELECT 1")).value == 1
    for writing in (
        "DELETE FROM t",
        "WITH d AS (DELETE FROM t RETURNING a) SELECT a FROM d",
        "SELECT a INTO b FROM t",
        "TRUNCATE TABLE t",
    ):
        assert reading.score(Sample(output=writing)).value == 0, writing
    assert build("is_sql").score(Sample(output="x" * 1_000_000)).status == "error"

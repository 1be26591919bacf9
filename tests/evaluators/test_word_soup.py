"""Whatever words of its language a text is made of, a scorer reads it or says why not: none of them fails."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import Sample, build

MATH = r"1 2.5 1,234 x y xy a_ _ ^ ** { } ( ) [ ] | , ; = < >= + - * / ! % \% \frac \sqrt \sin \log \pi \pm \infty \in \cup \{ \} \text{cm} \boxed{ \left e i and \! ½ \alpha \foo $ ."
SQL = "SELECT FROM WHERE AND OR NOT IN ( ) , * a b t.a t u AS 'x' 1 = < > BETWEEN NULL JOIN ON LEFT GROUP BY ORDER HAVING UNION WITH c EXISTS CASE WHEN THEN END ; DELETE INSERT INTO VALUES UPDATE SET LIMIT DISTINCT COUNT(*) -- /* \" `"
QUANTITIES = (
    "5 1,000 1.5 -3 .5 m km/h m^2 m**2 ² / * per in °C % $ × 10^3 e5 foo dB \\text{kg} ' , N·m mile degC 0 K log"
)
DATES = "2024-03-05 05/03/2024 5.3.24 March may 5th of , 2024 T10:30 10:30 pm am Z +01:00 UTC +99:99 00:00:60 0000-00-00 99 31/31/2024"
CHOICES = (
    "A B C (A) [b] b. answer is : the Answer: \\boxed{ } ** or and , not London Paris A. B) $ choose option 'A' I a"
)
HTML = "<p> </p> <br> <div> </div> <!-- --> <!DOCTYPE html> <script> </script> <svg> <path/> </svg> < > <a href='x'> </a> <foo> text <x-y> </x-y> \" '"
YAML = "a: - &a *a [ ] { } , : ? | > ! !!str !!int --- ... # \" ' % @ ` << \n \n  \t 1 null ~"
JSON = '{ } [ ] , : "a" 1 -1.5 true null NaN 1e999 \\ " text \n'
XML = "<a> </a> <b/> <!DOCTYPE a> <!ENTITY x 'y'> &x; &amp; <![CDATA[ ]]> <?xml version='1.0'?> <?p ?> <!-- --> x xmlns:x='u' <x:a> </x:a> <"
MARKDOWN = (
    "# ## * - 1. > ``` ~~~ python | |- [ ] ( ) ! http://x.y <b> </b> ` ** _ \n \n\n \\ &amp; <http://a.b> [a]: x text"
)

CASES = [
    ("math_equal", {}, MATH),
    ("sql_equivalence", {"schema": "CREATE TABLE t (a INT, b INT); CREATE TABLE u (a INT)"}, SQL),
    ("sql_equivalence", {"dialect": "postgres"}, SQL),
    ("is_sql", {"allowed_tables": ["t"], "allowed_columns": ["a"], "read_only": True}, SQL),
    ("quantity_equal", {}, QUANTITIES),
    ("numeric", {"thousands": "space", "percent": "fraction"}, QUANTITIES),
    ("date_equal", {}, DATES),
    ("multiple_choice", {"choices": ["London", "Paris", "Rome"]}, CHOICES),
    ("is_html", {"document": True}, HTML),
    ("is_yaml", {}, YAML),
    ("contains_json", {"schema": {"type": "object"}}, JSON),
    ("json_diff", {}, JSON),
    ("list_overlap", {}, JSON),
    ("is_xml", {"required_elements": ["a/b"]}, XML),
    ("markdown_structure", {"headings": ["text"], "valid_links": True, "no_raw_html": True}, MARKDOWN),
]
REFERENCES = {
    "math_equal": "x+1", "sql_equivalence": "SELECT a FROM t", "quantity_equal": "5 m", "numeric": 5, "date_equal": "2024-03-05",
    "multiple_choice": "B", "json_diff": {"a": 1}, "list_overlap": ["a"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("use", "args", "words"), CASES, ids=[f"{use}-{index}" for index, (use, *_) in enumerate(CASES)]
)
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_text_makes_a_scorer_fail(use: str, args: dict[str, object], words: str, data: st.DataObject) -> None:
    soup = data.draw(st.lists(st.sampled_from(words.split(" ")), max_size=14))
    output = data.draw(st.sampled_from([" ", ""])).join(soup)
    score = build(use, args).score(Sample(output=output, reference=REFERENCES.get(use)))
    assert score.status == "ok", score.explanation
    # As its own reference it is equal, cannot be read, or is no reference.
    again = build(use, args).score(Sample(output=output, reference=output))
    assert again.status != "error", again.explanation
    if use in ("math_equal", "quantity_equal", "date_equal", "sql_equivalence") and again.status == "ok":
        assert again.value == 1 or again.label == "unparsable", again.explanation

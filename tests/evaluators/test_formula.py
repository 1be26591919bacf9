"""Formulas over named scores: what they mean, and that nothing else can be said in them."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.metrics.formula import MOST_CHARACTERS, Formula, FormulaError, NoValueError, composite
from evaluators.metrics.interval import Interval

SCORES = {"f1": 0.5, "exact": 1.0, "zero": 0.0, "rouge-l": 0.25, "latency": 800.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.7 * f1 + 0.3 * exact", 0.65),
        ("min(f1, exact, 0.9)", 0.5),
        ("max(f1, zero) ** 2", 0.25),
        ("abs(zero - f1)", 0.5),
        ("f1 if exact >= 1 else 0", 0.5),
        ("0 < f1 < 1", 1.0),
        ("f1 > 0.4 and not zero", 1.0),
        ("zero or f1", 1.0),
        ('score("rouge-l") * 2', 0.5),
        ("1 if latency < 1000 else 0", 1.0),
        ("-f1 + True", 0.5),
        ("2 * f1 * exact / (f1 + exact)", 2 / 3),
    ],
)
def test_a_formula_means_what_it_means_in_python(text: str, value: float) -> None:
    assert Formula(text).value(SCORES) == pytest.approx(value)


ATTACKS = [
    "__import__('os').system('true')",
    "f1.__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "exec('1')",
    "eval('f1')",
    "open('/etc/passwd')",
    "(lambda: f1)()",
    "[f1 for f1 in (1, 2)]",
    "{f1: 1}",
    "f1[0]",
    "f'{f1}'",
    "'a' * 10",
    "b'a'",
    "1j * f1",
    "...",
    "None",
    "f1 := 3",
    "(f1 := 3)",
    "f1; exact",
    "import os",
    "min(*f1)",
    "min(f1, key=abs)",
    "max()",
    "abs(f1, exact)",
    "score(f1)",
    'score("f1", "exact")',
    "score('f1')('x')",
    "f1 @ exact",
    "f1 // 2",
    "f1 % 2",
    "f1 << 2",
    "~f1",
    "f1 in exact",
    "f1 is exact",
    "await f1",
    "yield",
    "min",
    "9e999 * f1",
    "f1 * " + "9" * 400,
    "9" * 5000,
    "",
    "   ",
    "1 + 1",
    "f1 +",
    "f1\x00",
    "f1 + \ud800",
    "(" * 500 + "f1" + ")" * 500,
    "-" * 900 + "f1",
    "not " * 200 + "f1",
    "f1" + "+f1" * 300,
    "f1 if " * 100 + "f1",
]


@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_what_is_no_arithmetic_is_refused_at_once_with_the_reason(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(FormulaError) as refused:
        Formula(text)
    assert str(refused.value)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("f1 / zero", "divides by zero"),
        ("zero ** -1", "divides by zero"),
        ("(zero - f1) ** 0.5", "no such power"),
        ("f1 ** 17", "exponents lie within 16"),
        ("latency ** latency ** latency", "exponents lie within 16"),
        ("(latency ** 16) ** 16", "not finite"),
        ("1e308 * latency", "not finite"),
        ("absent + 1", "absent has no value"),
        ("nan + 1", "nan is not finite"),
    ],
)
def test_what_has_no_finite_result_is_no_value_and_says_why(text: str, reason: str) -> None:
    with pytest.raises(NoValueError, match=reason):
        Formula(text).value(SCORES | {"absent": None, "nan": math.nan})


def test_only_what_decides_the_value_must_be_there() -> None:
    formula = Formula("tone if exact else 0")
    assert formula.names == ("exact", "tone") or formula.names == ("tone", "exact")
    assert formula.value({"exact": 0.0, "tone": None}) == 0
    with pytest.raises(NoValueError) as missing:
        formula.value({"exact": 1.0, "tone": None})
    assert missing.value.missing == "tone"


NAMES = ("a", "b", "c")


def expressions() -> st.SearchStrategy[str]:
    leaf = st.one_of(st.sampled_from(NAMES), st.integers(-3, 3).map(str), st.sampled_from(["0.5", "1.5"]))
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "<", "==", ">=", "and", "or"]), inner).map(
                lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
            ),
            st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
            inner.map(lambda e: f"abs({e})"),
            inner.map(lambda e: f"(-{e})"),
            inner.map(lambda e: f"(not {e})"),
            st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
        ),
        max_leaves=8,
    )


@settings(max_examples=300, deadline=None)
@given(expressions(), st.tuples(*[st.floats(0, 1) for _ in NAMES]))
def test_a_formula_is_python_itself_and_stays_within_its_interval(text: str, values: tuple[float, ...]) -> None:
    text = f"a * 0 + {text}"
    scores = dict(zip(NAMES, values, strict=True))
    formula = Formula(text)
    try:
        found = formula.value(scores)
    except NoValueError:
        return
    compared = eval(text, {"__builtins__": {"min": min, "max": max, "abs": abs}}, dict(scores))
    if " and " not in text and " or " not in text:  # Python gives an operand there, a formula truth
        assert found == pytest.approx(float(compared), rel=1e-9, abs=1e-12)
    ends = formula.interval(dict.fromkeys(NAMES, Interval(0.0, 1.0)))
    assert ends.low - 1e-9 * abs(found) <= found <= ends.high + 1e-9 * abs(found)


def test_intervals_of_usual_formulas_are_exact() -> None:
    unit = dict.fromkeys(("a", "b"), Interval(0.0, 1.0))
    assert Formula("0.5 * a + 0.5 * b").interval(unit) == (0, 1)
    assert Formula("a - b").interval(unit) == (-1, 1)
    assert Formula("a if b > 0.5 else -1").interval(unit) == (-1, 1)
    assert Formula("a ** 2").interval(unit) == (0, 1)
    assert Formula("a / (a + b)").interval(unit) == (-math.inf, math.inf)
    assert Formula("a + unheard").interval(unit) == (-math.inf, math.inf)


def test_a_composite_is_a_weighted_mean_and_has_no_value_without_one_of_its_scores() -> None:
    assert composite(SCORES, {"f1": 3, "exact": 1}) == pytest.approx(0.625)
    with pytest.raises(NoValueError, match="tone has no value"):
        composite(SCORES, {"f1": 3, "tone": 1})
    with pytest.raises(FormulaError, match="weight of f1 must be above 0"):
        composite(SCORES, {"f1": 0})
    with pytest.raises(FormulaError, match="at least one"):
        composite(SCORES, {})


def test_the_longest_formula_is_quick() -> None:
    began = time.perf_counter()
    text = "f1" + "+f1" * 30 + " " * (MOST_CHARACTERS - 92)
    Formula(text).value(SCORES)
    assert time.perf_counter() - began < 2

"""Samples and orders of cases."""

from hypothesis import given
from hypothesis import strategies as st

from app.runs.spec import CRITICAL, Case, Cell, case_order, decode_cases, encode_cases, in_calling_order, sample

IDS = st.lists(st.text(max_size=8), unique=True, max_size=30)


@given(ids=IDS, size=st.integers(1, 40))
def test_a_sample_has_its_size_keeps_the_order_and_holds_every_smaller_sample(ids: list[str], size: int) -> None:
    chosen = sample(ids, size)
    assert len(chosen) == min(size, len(ids))
    assert chosen == sorted(set(chosen))
    assert set(sample(ids, size - 1 or 1)) <= set(chosen)


@given(ids=IDS, size=st.integers(1, 10))
def test_a_sample_does_not_depend_on_the_order_of_the_items(ids: list[str], size: int) -> None:
    backwards = ids[::-1]
    assert {ids[n] for n in sample(ids, size)} == {backwards[n] for n in sample(backwards, size)}


@given(ids=IDS, critical=st.sets(st.integers(0, 29)))
def test_an_order_has_every_case_once_and_critical_ones_first(ids: list[str], critical: set[int]) -> None:
    cases = [Case(i, "", [CRITICAL] if n in critical else []) for n, i in enumerate(ids)]
    order = case_order("run_1", cases)
    assert sorted(order) == list(range(len(cases)))
    first = [n for n in order if n in critical]
    assert order[: len(first)] == first


def test_runs_shuffle_the_cases_each_in_its_own_way() -> None:
    cases = [Case(str(n), "") for n in range(20)]
    assert case_order("run_1", cases) != case_order("run_2", cases) != list(range(20))


def test_the_variants_of_a_case_are_called_beside_each_other() -> None:
    cells = [Cell(v, c, r) for v in range(2) for c in range(2) for r in range(2)]
    called = in_calling_order(cells, [1, 0])
    assert [(c.case_no, c.repeat, c.variant_no) for c in called] == [
        (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1), (0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1),
    ]  # fmt: skip


@given(ids=IDS)
def test_cases_are_read_as_they_were_written(ids: list[str]) -> None:
    cases = [Case(i, f"sha256:{i}", [i], i or None) for i in ids]
    assert decode_cases(encode_cases(cases)) == cases

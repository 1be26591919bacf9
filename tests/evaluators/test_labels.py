"""Label sets: per sample what scikit-learn says, from texts of several forms."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support
from sklearn.preprocessing import MultiLabelBinarizer

from evaluators import Sample, Score, build

labels = st.sets(st.sampled_from(["billing", "refund", "日本", "مرحبا", "😀", "e\u0301"]), max_size=5).map(sorted)


def scored(use: str, output: str, reference: object, **args: object) -> Score:
    return build(use, args).score(Sample(output=output, reference=reference))


@settings(deadline=None)
@given(output=labels, reference=labels, beta=st.sampled_from([0.5, 1.0, 2.0]), zero=st.sampled_from([0, 1]))
def test_the_values_of_a_sample_are_scikit_learns(
    output: list[str], reference: list[str], beta: float, zero: int
) -> None:
    every = MultiLabelBinarizer().fit([[*output, *reference, "another", "more"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = precision_recall_fscore_support(
            every.transform([reference]), every.transform([output]), beta=beta, average="samples", zero_division=zero
        )
    for text in (", ".join(output), "\n".join(output)):
        assert scored("precision", text, reference, zero_division=zero).value == pytest.approx(expected[0])
        assert scored("recall", text, reference, zero_division=zero).value == pytest.approx(expected[1])
        assert scored("f_beta", text, reference, beta=beta, zero_division=zero).value == pytest.approx(expected[2])


@pytest.mark.parametrize(
    "output", ["refund, billing", "refund\r\nbilling\n", '["billing", "refund", "refund"]', " billing,,refund,"]
)
def test_labels_are_read_from_json_commas_and_lines(output: str) -> None:
    assert scored("f_beta", output, ["billing", "refund"]).value == 1
    assert scored("f_beta", output, "refund, billing").value == 1


def test_the_reference_list_is_one_set_and_the_explanation_names_the_differences() -> None:
    score = scored("recall", "Refund; other", ["refund", "billing"], separator=";", ignore_case=True)
    assert score.value == 0.5
    assert "missing: 'billing'" in score.explanation
    assert "not expected: 'other'" in score.explanation


@pytest.mark.parametrize("output", ["[", '{"labels": ["refund"]}', '[["refund"]]', "[" * 100_000])
def test_json_that_is_no_list_of_labels_is_unparsable(output: str) -> None:
    score = scored("f_beta", output, ["refund"])
    assert (score.status, score.value, score.label) == ("ok", 0, "unparsable")


def test_no_reference_is_skipped_but_an_empty_list_expects_nothing() -> None:
    assert scored("precision", "a", None).status == "skipped"
    assert scored("precision", "a", {"a": 1}).status == "skipped"
    assert scored("precision", "a", []).value == 0
    assert scored("f_beta", "", [], zero_division=1).value == 1

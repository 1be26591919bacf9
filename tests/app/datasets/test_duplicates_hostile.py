"""A search for duplicates ends in time, whatever it is given, and says what it left out."""

import time

from app.datasets.duplicates import Text, near_duplicates


def plain(*texts: str) -> list[Text]:
    return [Text(str(index), "", text) for index, text in enumerate(texts)]


def test_a_hundred_thousand_equal_texts_are_one_chain() -> None:
    found = near_duplicates(plain(*["the same text"] * 100_000), limit=5, max_seconds=300)
    assert (found.total, found.complete, len(found.pairs)) == (99_999, True, 5)


def test_a_search_that_time_cut_short_says_so() -> None:
    found = near_duplicates(
        plain(*(f"a template with the number {index:06}" for index in range(40_000))), max_seconds=3
    )
    assert not found.complete
    assert "3 seconds" in found.reason
    assert len(found.pairs) == 500
    assert found.total >= 500


def test_of_a_huge_text_the_beginning_is_compared_and_that_is_said() -> None:
    huge = "lorem ipsum " * 700_000  # 8 MB
    start = time.monotonic()
    found = near_duplicates(plain(huge, huge, huge + "and another end"))
    assert time.monotonic() - start < 20
    assert [(pair.a, pair.b, pair.similarity, pair.exact) for pair in found.pairs] == [
        ("0", "1", 1.0, True),
        ("0", "2", 1.0, False),
    ]
    assert found.complete
    assert "3 texts are longer than 20,000 characters" in found.reason

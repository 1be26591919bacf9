"""How texts are cut and read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.registry.kinds.rag_config import Chunking
from app.retrieval.text import Piece, pieces, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What's the `max_concurrency`?", ["what", "s", "the", "max_concurrency"]),
        ("PROMPTWARD_HOME=.promptward/", ["promptward_home", "promptward"]),
        ("Straße GROẞ", ["strasse", "gross"]),
        ("東京とparis 2", ["東", "京", "と", "paris", "2"]),
        ("?! —", []),
    ],
)
def test_words_are_found_in_any_script(text, expected):
    assert words(text) == expected


def texts(text: str, **chunking) -> list[str]:
    return [piece.text for piece in pieces(text, Chunking(**chunking))]


SENTENCES = 'One. Two has 3.5 parts! "Three?" Four…\n\nFive'


def test_sentences_are_grouped_with_overlap():
    assert texts(SENTENCES, by="sentences", size=1) == ["One.", "Two has 3.5 parts!", '"Three?"', "Four…", "Five"]
    assert texts(SENTENCES, by="sentences", size=2) == ["One. Two has 3.5 parts!", '"Three?" Four…', "Five"]
    assert texts("A. B. C. D.", by="sentences", size=3, overlap=1) == ["A. B. C.", "C. D."]
    assert texts("東京。大阪！", by="sentences", size=1) == ["東京。", "大阪！"]


def test_tokens_are_windows_of_words_with_what_stands_between():
    assert texts("(a) b, c: d e", by="tokens", size=2) == ["(a) b,", "c: d", "e"]
    assert texts("a b c d e", by="tokens", size=3, overlap=1) == ["a b c", "c d e"]
    assert texts("a b", by="tokens", size=10) == ["a b"]


MARKDOWN = """intro

# First #
text one
```sh
# not a heading
```
## Second
text two
# Empty
"""


def test_headings_cut_sections_and_leave_code_alone():
    assert pieces(MARKDOWN, Chunking(by="headings")) == [
        Piece("intro"),
        Piece("text one\n```sh\n# not a heading\n```", "First"),
        Piece("text two", "Second"),
        Piece("", "Empty"),
    ]


def test_none_keeps_the_whole_and_an_empty_text_is_no_chunk():
    assert texts("a. b. c.") == ["a. b. c."]
    for by in ("none", "sentences", "tokens", "headings"):
        assert texts(" \n ", by=by) == []


@given(
    text=st.text(alphabet=st.sampled_from("ab.!? \n#é東`"), max_size=60),
    by=st.sampled_from(["sentences", "tokens"]),
    size=st.integers(1, 5),
    overlap=st.integers(0, 4),
)
@settings(max_examples=200, deadline=None)
def test_no_word_is_lost_and_none_invented(text, by, size, overlap):
    cut = texts(text, by=by, size=size, overlap=min(overlap, size - 1))
    assert all(piece in text for piece in cut)
    found = [word for piece in cut for word in words(piece)]
    if overlap == 0:
        assert found == words(text)
    assert set(found) == set(words(text))

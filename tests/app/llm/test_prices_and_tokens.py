"""Money and tokens."""

import base64
import hashlib
import os

import pytest

from app.llm.prices import cost_nano
from app.llm.schemas import Price, Usage
from app.llm.tokens import Tokens, UnknownEncodingError


@pytest.mark.parametrize(
    ("price", "usage", "nano"),
    [
        (Price(1.0, 2.0), Usage(1_000_000, 1_000_000), 3_000_000_000),
        (Price(0.15, 0.6), Usage(1000, 500), 450_000),
        (Price(2.5, 10.0, 1.25), Usage(1000, 0, 400), 2_000_000),
        (Price(2.5, 10.0), Usage(1000, 0, 400), 2_500_000),
        (Price(1.0, 1.0, 0.0), Usage(10, 0, 99), 0),
        (Price(0.0004, 0.0), Usage(1, 0), 0),
        (Price(0.0005, 0.0), Usage(1, 0), 1),
        (Price(), Usage(5, 5), 0),
        (None, Usage(5, 5), None),
        (Price(1.0), None, None),
    ],
)
def test_cost_is_whole_nano_dollars_or_not_known(price, usage, nano):
    assert cost_nano(price, usage) == nano


def test_without_a_vocabulary_the_count_is_an_estimate_that_says_so(tmp_path):
    tokens = Tokens({"TIKTOKEN_CACHE_DIR": str(tmp_path)})
    for model in (None, "gpt-4o", "llama-3"):
        counted = tokens.count("four chars a token", model)
        assert (counted.tokens, counted.exact) == (5, False)
        assert "estimate" in counted.source


def test_with_a_vocabulary_openai_models_are_counted_exactly(tmp_path, monkeypatch):
    """A vocabulary of the 256 bytes stands in for the real one: every byte is a token."""
    from tiktoken import load

    ranks = "".join(f"{base64.b64encode(bytes([i])).decode()} {i}\n" for i in range(256)).encode()
    address = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    (tmp_path / hashlib.sha1(address.encode()).hexdigest()).write_bytes(ranks)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(load, "check_hash", lambda data, expected: True)
    tokens = Tokens(os.environ)
    assert tokens.count("größe", "gpt-4o") == (7, True, "o200k_base")
    assert tokens.count("größe") == (7, True, "o200k_base")
    unknown = tokens.count("größe", "llama-3")
    assert (unknown.tokens, unknown.exact) == (7, False)
    assert "not the model's own" in unknown.source
    assert tokens.count_in("abc", "cl100k_base").exact is False


def test_a_text_too_long_to_count_safely_is_estimated(tmp_path):
    assert Tokens({"TIKTOKEN_CACHE_DIR": str(tmp_path)}).count("x" * 2_000_000).tokens == 500_000


def test_an_unknown_encoding_is_refused_with_those_that_exist():
    with pytest.raises(UnknownEncodingError, match="o200k_base, o200k_harmony"):
        Tokens({}).count_in("x", "latin-1")

import hashlib

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from app.kit.digests import canonical, digest, key_of, normalised

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # The examples of RFC 8785, section 3.2.2 and 3.2.3.
        (
            {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27]},
            b'{"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}',
        ),
        ({"literals": [None, True, False]}, b'{"literals":[null,true,false]}'),
        (
            {"€": "Euro", "\r": "CR", "\ufb33": "Dagesh", "1": "One", "😀": "Smiley", "\x80": "Control", "ö": "o"},
            '{"\\r":"CR","1":"One","\x80":"Control","ö":"o","€":"Euro","😀":"Smiley","\ufb33":"Dagesh"}'.encode(),
        ),
    ],
)
def test_canonical_bytes_are_those_of_rfc_8785(value: object, expected: bytes) -> None:
    assert canonical(value) == expected


def test_a_golden_digest_never_changes() -> None:
    content = {"kind": "prompt", "content": {"messages": [{"role": "user", "content": "Hi {{ name }}"}]}, "pins": {}}
    assert (
        digest(content)
        == "sha256:"
        + hashlib.sha256(
            b'{"content":{"messages":[{"content":"Hi {{ name }}","role":"user"}]},"kind":"prompt","pins":{}}'
        ).hexdigest()
    )


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), JSON, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


@given(JSON)
def test_canonical_bytes_are_those_of_the_reference_implementation(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53 + 1, "\ud800"])
def test_what_json_cannot_hold_exactly_has_no_digest(value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        digest({"x": value})


def test_crlf_becomes_lf_and_nothing_else_changes() -> None:
    assert normalised({"a\r\n": ["x\r\ny", "x\ry", " ü "]}) == {"a\n": ["x\ny", "x\ry", " ü "]}


@given(
    st.lists(st.text(st.characters(codec="utf-8")), max_size=4),
    st.lists(st.text(st.characters(codec="utf-8")), max_size=4),
)
def test_parts_of_a_key_cannot_run_into_each_other(left: list[str], right: list[str]) -> None:
    assert (key_of(*left) == key_of(*right)) == (left == right)

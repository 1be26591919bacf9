import time
from typing import Any

import pytest

from evaluators.contract import Sample, ScorerConfigError
from evaluators.registry import build


def value(use: str, output: str, **args: Any) -> float | None:
    return build(use, args).score(Sample(output=output)).value


@pytest.mark.parametrize(
    ("output", "required", "expected"),
    [
        ("see <a>1</a> there", [], 1),
        ("see <a/> there", [], 1),
        ("a < b > c", [], 0),
        ("<a>1</b>", [], 0),
        ("<a><b></a>", [], 0),
        ("</x> then <a>&amp;</a>", [], 1),
        ("<a>&unknown;</a>", [], 0),
        ("<a b=1>x</a> <c>y</c>", [], 1),
        ("x <book><title>T</title></book>", ["book/title"], 1),
        ("x <lib><book><title>T</title></book></lib>", ["title", "/lib/book"], 1),
        ("x <lib><book><title>T</title></book></lib>", ["/book/title"], 0),
        ('<n:a xmlns:n="u"><n:b/></n:a>', ["a/b"], 1),
        ("<tïtle>é</tïtle>", ["tïtle"], 1),
        ("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>", [], 0),
        ("", [], 0),
        ("\ud800<a>x</a>", [], 1),
    ],
)
def test_xml_is_found_among_text(output: str, required: list[str], expected: float) -> None:
    assert value("contains_xml", output, required_elements=required) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("text <div>x</div>", 1),
        ("<custom>x</custom>", 1),
        ("a < b and c > d", 0),
        ("just &amp; this", 0),
        ("&lt; and <!-- a -- b -->", 1),
        ("<!DOCTYPE html>", 1),
        ("<br>", 1),
        ("plain", 0),
        ("", 0),
        ("\ud800 <p>", 1),
    ],
)
def test_html_shows_by_two_signs(output: str, expected: float) -> None:
    assert value("contains_html", output) == expected


@pytest.mark.parametrize(
    "output",
    [
        "<a>" * 300_000,
        "<a " * 300_000,
        "<!--" * 250_000,
        "<a></a>" * 140_000,
        "<" * 1_000_000,
        "<a b='" * 160_000,
        "<a\t" * 300_000,
    ],
)
@pytest.mark.parametrize("use", ["contains_xml", "contains_html"])
def test_a_megabyte_of_tags_takes_less_than_two_seconds(use: str, output: str) -> None:
    begun = time.process_time()
    scorer = build(use, {"required_elements": ["nowhere"]} if use == "contains_xml" else {})
    assert scorer.score(Sample(output=output)).status == "ok"
    assert time.process_time() - begun < 2


def test_a_path_without_a_name_is_refused() -> None:
    with pytest.raises(ScorerConfigError, match="write it like book/title"):
        build("contains_xml", {"required_elements": ["a//b"]})

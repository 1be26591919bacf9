"""The page about imports shows what really happens."""

import re
from pathlib import Path

import pytest

from app.formats.service import READERS, WRITERS, read
from tests.app.formats.syncing import parsed

PAGE = (Path(__file__).parents[3] / "docs" / "import.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"<!-- (read|gives): (.+?) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str, str, list[tuple[str, str]]]]:
    """Format, path and content of each example, and what the page says comes of it."""
    found: list[tuple[str, str, str, list[tuple[str, str]]]] = []
    for kind, what, text in _BLOCK.findall(PAGE):
        if kind == "read":
            format_, path = what.split()
            found.append((format_, path, text, []))
        else:
            found[-1][3].append((what, text))
    return found


@pytest.mark.parametrize(("format_", "path", "text", "outcomes"), examples())
def test_an_example_of_the_page_gives_what_the_page_shows(
    format_: str, path: str, text: str, outcomes: list[tuple[str, str]]
) -> None:
    imported = read(format_, {path: text.encode()})
    parsed(imported)
    assert outcomes
    for what, shown in outcomes:
        losses = "".join(f"{loss.path}:{loss.line}: {loss.what}\n" for loss in imported.losses)
        assert (losses if what == "losses" else imported.files[what]) == shown


def test_the_page_shows_and_lists_every_format() -> None:
    assert {format_ for format_, *_ in examples()} == set(READERS)
    rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \| (yes|no) \|", PAGE, re.MULTILINE)
    assert dict(rows) == {name: "yes" if name in WRITERS else "no" for name in READERS}

"""The corpus of the example project: one item per section of docs/*.md.

`python -m tests.example.corpus` writes `datasets/docs.jsonl` afresh; a test fails when it is out of step with the pages.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "datasets" / "docs.jsonl"

# Figures measured or reckoned on one machine are no facts about the product, and other tools' files are not in its words.
LEFT_OUT = frozenset({"benchmarks.md", "import.md", "scaling.md", "scorers.md"})

_FENCE = re.compile(r"^```.*?^```$\n?", re.MULTILINE | re.DOTALL)
_BLANK_LINES = re.compile(r"\n{3,}")


def pages() -> list[Path]:
    """The pages that the assistant answers from, in the order of their names."""
    return sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in LEFT_OUT)


def corpus() -> list[dict[str, Any]]:
    """The items of `datasets/docs.jsonl`."""
    return [item for page in pages() for item in sections(page.stem, page.read_text(encoding="utf-8"))]


def sections(page: str, markdown: str) -> list[dict[str, Any]]:
    """One item per `##` section of a page. Code blocks are left out: what they show is said in the sentences, too."""
    head, *parts = re.split(r"^## ", _FENCE.sub("", markdown), flags=re.MULTILINE)
    page_title = head.removeprefix("# ").strip()
    return [_item(page, page_title, *part.split("\n", 1)) for part in parts]


def _item(page: str, page_title: str, heading: str, body: str) -> dict[str, Any]:
    return {
        "id": f"{page}#{_anchor(heading)}",
        "inputs": {"title": f"{page_title}: {heading.strip()}", "text": _BLANK_LINES.sub("\n\n", body).strip()},
        "tags": [page],
    }


def _anchor(heading: str) -> str:
    """The anchor that Markdown renderers give a heading: lower case, punctuation dropped, hyphens for spaces."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower()))


def encode(items: list[dict[str, Any]]) -> str:
    """JSON Lines as they are stored."""
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)


if __name__ == "__main__":
    CORPUS.write_text(encode(corpus()), encoding="utf-8")

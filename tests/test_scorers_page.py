"""The page about scorers is what the registry says, and what it teaches works."""

import re

import msgspec
import pytest

from evaluators.contract import Sample, Scorer
from evaluators.registry import RegistryError, bundled, describe, names
from tests.scorers_page import MARK, PAGE, generated

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_below_the_mark_is_made_from_the_registry() -> None:
    assert TEXT.partition(MARK)[2] == generated().removeprefix(MARK), "run `python -m tests.scorers_page --write`"


def test_every_bundled_scorer_has_its_heading() -> None:
    headings = set(re.findall(r"^### (\w+)$", TEXT, re.MULTILINE))
    assert headings == {scorer.name for scorer in bundled()}


@pytest.mark.parametrize("name", names())
def test_every_scorer_says_range_direction_and_source(name: str) -> None:
    doc = " ".join(describe(name).doc.split()).lower()
    assert "range" in doc or "unbounded" in doc
    assert "higher is better" in doc or "lower is better" in doc
    if describe(name).kind == "code":
        assert "source:" in doc or "source of" in doc or "raw measure" in doc


def test_the_fields_of_a_score_are_all_on_the_page() -> None:
    from evaluators.contract import Score

    section = TEXT.partition("## A score")[2].partition("\n## ")[0]
    for field in msgspec.structs.fields(Score):
        assert f"`{field.encode_name}`" in section


@pytest.fixture
def taught() -> type[Scorer]:
    source = re.search(r"```python\n(\"\"\"Shouting.*?)```", TEXT, re.DOTALL)
    assert source is not None
    space: dict[str, object] = {"__name__": "shout"}
    exec(source[1], space)
    scorer = space["Shout"]
    assert isinstance(scorer, type)
    assert issubclass(scorer, Scorer)
    return scorer


def test_the_scorer_that_the_page_teaches_keeps_the_contract(taught: type[Scorer]) -> None:
    score = taught(threshold=0.5).score(Sample(output="STOP it"))
    assert (score.value, score.passed, score.name) == (pytest.approx(4 / 6), False, "shout")
    assert taught(threshold=0.5).score(Sample(output="")).passed is True
    from evaluators.registry import scorers_in

    assert list(scorers_in(taught)) == [taught]
    with pytest.raises(RegistryError):
        list(scorers_in(3))

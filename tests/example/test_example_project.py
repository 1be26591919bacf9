"""The example project holds together: its files parse, its questions can be answered from its pages, and only there."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from app.cli.main import program
from app.kit.errors import DomainError
from app.registry.kinds import kinds
from app.settings import Settings
from evaluators.registry import build
from tests.example.corpus import CORPUS, LEFT_OUT, ROOT, corpus, encode, pages

NOT_THERE = ["not in the documentation"]
KINDS = {"fact", "how-to", "list", "why", "unanswerable"}
QUESTION_FILES = ["docs-questions", "docs-judged"]


def items(name: str) -> list[dict[str, Any]]:
    lines = (ROOT / "datasets" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def project() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "promptward.yaml").read_text(encoding="utf-8"))
    return loaded


def artifact_files() -> list[Path]:
    return sorted([*(ROOT / "prompts").rglob("*.yaml"), *(ROOT / "datasets").rglob("*.yaml")])


def said_on(page: str) -> str:
    """All that a page says, also as it reads without code marks."""
    text = " ".join((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").split())
    return f"{text}\n{text.replace('`', '')}".casefold()


@pytest.mark.parametrize("path", artifact_files(), ids=lambda path: path.name)
def test_every_file_holds_valid_content_of_the_kind_that_its_name_says(path: Path) -> None:
    (kind,) = [kind for kind in kinds().values() if path.name.endswith(kind.suffix)]
    kind.parse(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("section", ["endpoints", "gate_policies"])
def test_what_the_project_file_declares_is_valid(section: str) -> None:
    kind = kinds()[{"endpoints": "endpoint", "gate_policies": "gate_policy"}[section]]
    declared = project()[section]
    assert declared
    for content in declared.values():
        kind.parse(content)


def test_what_the_project_refers_to_exists() -> None:
    declared = project()
    for name, path in (
        (path.name.removesuffix(".suite.yaml"), path) for path in (ROOT / "datasets").glob("*.suite.yaml")
    ):
        suite = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert (ROOT / "datasets" / f"{suite['dataset']}.jsonl").is_file(), name
        assert (ROOT / "datasets" / f"{suite['dataset']}.md").is_file(), "a dataset has a card"
        assert set(suite["endpoints"]) <= set(declared["endpoints"]), name
        assert suite.get("policy", "docs") in declared["gate_policies"], name
    for prompt, rules in declared["environments"]["production"]["prompts"].items():
        assert (ROOT / "prompts" / f"{prompt}.prompt.yaml").is_file()
        assert rules["policy"] in declared["gate_policies"]
        assert all((ROOT / "datasets" / f"{suite}.suite.yaml").is_file() for suite in rules["suites"])


def test_the_corpus_is_in_step_with_the_pages() -> None:
    assert CORPUS.read_text(encoding="utf-8") == encode(corpus()), "run: python -m tests.example.corpus"


def test_every_section_has_an_id_of_its_own_and_says_something() -> None:
    found = corpus()
    assert max(Counter(item["id"] for item in found).values()) == 1
    assert [item["id"] for item in found if not item["inputs"]["text"]] == []
    assert {item["tags"][0] for item in found} == {page.stem for page in pages()}
    assert not LEFT_OUT & {f"{item['tags'][0]}.md" for item in found}


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_question_ids_and_questions_are_unique(name: str) -> None:
    found = items(name)
    assert max(Counter(item["id"] for item in found).values()) == 1
    assert max(Counter(item["inputs"]["question"].casefold() for item in found).values()) == 1


def test_there_are_enough_questions_of_each_kind_for_its_slice_to_be_judged() -> None:
    found = items("docs-questions")
    counts = Counter(item["metadata"]["kind"] for item in found)
    assert len(found) >= 150
    assert set(counts) == KINDS
    assert min(counts.values()) >= 20, "the policy judges slices of 20 cases or more"
    assert counts["unanswerable"] >= 25
    assert sum("critical" in item["tags"] for item in found) == 8


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_tags_say_what_the_metadata_says(name: str) -> None:
    for item in items(name):
        page, kind = item["metadata"]["page"], item["metadata"]["kind"]
        expected = [kind] if kind == "unanswerable" else [page, kind]
        assert [tag for tag in item["tags"] if tag != "critical"] == expected, item["id"]


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_an_answerable_question_is_answered_on_its_page_and_every_alternative_stands_in_the_documentation(
    name: str,
) -> None:
    everywhere = "\n".join(said_on(page.stem) for page in pages())
    lost = []
    for item in items(name):
        if item["metadata"]["kind"] != "unanswerable":
            here = said_on(item["metadata"]["page"])
            lost += [(item["id"], item["reference"][0])] if item["reference"][0].casefold() not in here else []
            lost += [(item["id"], phrase) for phrase in item["reference"] if phrase.casefold() not in everywhere]
    assert lost == []


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_no_question_gives_its_own_answer_away(name: str) -> None:
    given_away = [
        item["id"]
        for item in items(name)
        if any(phrase.casefold() in item["inputs"]["question"].casefold() for phrase in item["reference"])
    ]
    assert given_away == []


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_the_right_answer_to_an_unanswerable_question_is_to_say_so(name: str) -> None:
    for item in items(name):
        assert (item["reference"] == NOT_THERE) == (item["metadata"]["kind"] == "unanswerable"), item["id"]
    assert NOT_THERE[0] not in " ".join(said_on(page.stem) for page in pages())


def test_the_two_question_files_have_no_question_in_common() -> None:
    first, second = ({item["inputs"]["question"].casefold() for item in items(name)} for name in QUESTION_FILES)
    assert not first & second


def test_the_page_about_settings_names_every_setting_and_no_other(tmp_path: Path) -> None:
    known = {setting.name for setting in Settings.read({}, tmp_path).shown()}
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert {word.strip("`.,") for word in page.split() if word.startswith("`PROMPTWARD_")} - {"PROMPTWARD_"} == known


def test_the_page_about_errors_names_every_problem_type_with_its_status() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for error in _subclasses(DomainError):
        if error.__module__.startswith("app."):  # tests make errors of their own
            assert f"`{error.slug}` has status {error.status}" in page


def _subclasses(error: type[DomainError]) -> set[type[DomainError]]:
    return {one for child in error.__subclasses__() for one in ({child} | _subclasses(child))}


def documented_commands() -> list[list[str]]:
    """What the pages show as commands: inline code and shell lines that begin with `promptward`, cut into words."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages())
    shown = re.findall(r"(?:`|^)promptward ([a-z][^`\n]*)", text, re.MULTILINE)
    return [command.split() for command in dict.fromkeys(shown)]


@pytest.mark.parametrize("words", documented_commands(), ids=" ".join)
def test_a_documented_command_exists_with_its_options(words: list[str]) -> None:
    command: click.Command = program
    rest = words
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest[0]) if rest else None
        assert found is not None, f"promptward {' '.join(words)}"
        command, rest = found, rest[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


def test_the_judge_of_the_judged_suite_can_be_built_from_its_rubric() -> None:
    rubric = yaml.safe_load((ROOT / "prompts" / "docs" / "helpful.rubric.yaml").read_text(encoding="utf-8"))
    assert build("rubric", {key: rubric[key] for key in ("instructions", "labels")}).reads == {
        "inputs",
        "reference",
        "judge",
    }

"""Ratings from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.cli.conftest import Run


@pytest.fixture
def rated(cli: Run, folder: Path) -> Run:
    """The command in a project with one prompt, `ask`."""
    (folder / "prompts").mkdir()
    prompt = "messages: [{role: user, content: '{{ question }}'}]\nvariables: {question: {type: string}}\n"
    (folder / "prompts" / "ask.prompt.yaml").write_text(prompt)
    (folder / "promptward.yaml").write_text("environments: {}\n")
    synced = cli("sync")
    assert synced.exit_code == 0, synced.stderr
    return cli


def add(cli: Run, *arguments: str) -> Any:
    found = cli("feedback", "add", *arguments, "--prompt", "ask", "--json")
    assert found.exit_code == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.parametrize(("given", "value"), [("-3", -3), ("-.5", -0.5), ("-1e3", -1000), ("2.5", 2.5)])
def test_a_negative_number_is_a_value_and_no_option(rated: Run, given: str, value: float) -> None:
    assert add(rated, "delta", given, "--id", "m1")["value"] == value
    assert add(rated, "--id", "m2", "delta", given, "--comment", "-3")["comment"] == "-3"


def test_a_rating_has_a_unit_and_tags_by_which_it_is_found(rated: Run) -> None:
    kept = add(rated, "thumbs", "1", "--id", "m1", "--unit", "ann", "--tag", "web", "--tag", "beta")
    assert kept["tags"] == ["web", "beta"]
    other = rated("feedback", "add", "thumbs", "0", "--id", "m1", "--unit", "bob")
    assert (other.exit_code, "another unit" in other.stderr) == (2, True)
    for tag, count in (("web", 1), ("desktop", 0)):
        found = rated("feedback", "summary", "ask@1", "--tag", tag, "--json")
        assert len(json.loads(found.stdout)["items"]) == count
    unknown = rated("feedback", "summary", "aks")
    assert (unknown.exit_code, "aks" in unknown.stderr) == (2, True)


def test_a_mistyped_option_is_named(rated: Run) -> None:
    found = rated("feedback", "add", "thumbs", "1", "--id", "m1", "--promt", "ask")
    assert (found.exit_code, "--promt" in found.stderr) == (2, True)

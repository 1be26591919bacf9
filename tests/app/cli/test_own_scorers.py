import json
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run

FILE = "prompts/shop.prompt.yaml"
RUN = ("run", "shop", "--candidate", FILE, "--json")


@pytest.fixture
def with_tone(project: Path) -> Path:
    (project / "scorers").mkdir()
    (project / "scorers" / "tone.py").write_text(
        'def score(sample):\n    print("seen")\n    return "!" not in sample.output\n'
    )
    suite = project / "datasets" / "shop.suite.yaml"
    text = suite.read_text()
    suite.write_text(
        text.replace("  - {use: length}", '  - {use: "./scorers/tone.py:score", name: calm}\n  - {use: length}')
    )
    return project


def test_a_file_is_run_as_a_scorer_only_when_that_is_allowed(
    cli: Run, with_tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("sync").exit_code == 0
    refused = cli(*RUN)
    assert refused.exit_code == 2
    assert "give --allow-code, or PROMPTWARD_ALLOW_CODE=1" in refused.stderr
    allowed = cli(*RUN, "--allow-code")
    assert allowed.exit_code == 0, allowed.stderr
    found = json.loads(allowed.stdout)
    assert found["variants"][0]["metrics"]["calm"]["mean"] == 1.0
    monkeypatch.setenv("PROMPTWARD_ALLOW_CODE", "1")
    assert cli(*RUN).exit_code == 0
    monkeypatch.setenv("PROMPTWARD_ALLOW_CODE", "yes")
    assert "use 1 to run the project's own scorers" in cli(*RUN).stderr


def test_scores_that_a_broken_scorer_left_missing_are_counted_with_the_way_to_the_reason(
    cli: Run, with_tone: Path
) -> None:
    (with_tone / "scorers" / "tone.py").write_text("def score(sample):\n    return 1 / 0\n")
    ran = cli("run", "shop", "--candidate", FILE, "--allow-code")
    assert ran.exit_code == 0, ran.stderr
    assert "x calm): a judge or a scorer failed; see: promptward results run_" in ran.stderr

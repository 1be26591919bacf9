"""Scorers of installed packages, as the page says that one adds them: each test is a Python of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SHOUT = '''
from evaluators import Sample, Score, Scorer, ScorerConfigError


class Shout(Scorer, frozen=True):
    """1 when the output is in capitals and at least so long. Range {0, 1}, higher is better."""

    name = "shout"
    binary = True
    example = {"at_least": 3}

    at_least: int = 1

    def check(self) -> None:
        super().check()
        if self.at_least < 1:
            raise ScorerConfigError("at_least is 1 or more", "/args/at_least")

    def measure(self, sample: Sample) -> Score:
        loud = sample.output.isupper() and len(sample.output) >= self.at_least
        return self.scored(float(loud), "the output is compared with its capitals")


def both():
    return [Shout]
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder as `pip install` leaves it, with the package `acme_scorers`."""
    (tmp_path / "acme_scorers").mkdir()
    (tmp_path / "acme_scorers" / "__init__.py").write_text("")
    (tmp_path / "acme_scorers" / "shout.py").write_text(SHOUT)
    return tmp_path


def installed(site: Path, distribution: str, *targets: str) -> None:
    folder = site / f"{distribution}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"entry{i} = {target}" for i, target in enumerate(targets)]
    (folder / "entry_points.txt").write_text("[promptward.scorers]\n" + "\n".join(lines) + "\n")


def asked(site: Path, code: str) -> Any:
    """What `code` prints as JSON where `site` is on the path; its error as a text."""
    path = os.pathsep.join([str(site), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", f"import json\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


@pytest.mark.parametrize(
    "target", ["acme_scorers.shout:Shout", "acme_scorers", "acme_scorers.shout", "acme_scorers.shout:both"]
)
def test_a_scorer_of_an_installed_package_is_one_among_all(site: Path, target: str) -> None:
    installed(site, "acme_scorers", target)
    code = """
from evaluators import Sample, build, describe, names
score = build("shout", {"at_least": 3, "threshold": 1, "negate": True}).score(Sample(output="HEY"))
told = describe("shout")
print(json.dumps([score.value, score.passed, score.name, told.kind, told.origin, told.schema["properties"]["at_least"],
                  "exact_match" in names()]))
"""
    assert asked(site, code) == [
        0.0,
        False,
        "shout",
        "code",
        "acme_scorers.shout",
        {"type": "integer", "default": 1},
        True,
    ]


def test_its_arguments_are_refused_as_those_of_our_own(site: Path) -> None:
    installed(site, "acme_scorers", "acme_scorers")
    code = """
from evaluators import ScorerConfigError, build
found = []
for args in ({"at_least": 0}, {"least": 1}):
    try:
        build("shout", args)
    except ScorerConfigError as error:
        found.append([error.pointer, error.message])
print(json.dumps(found))
"""
    assert asked(site, code) == [
        ["/args/at_least", "shout: at_least is 1 or more"],
        ["/args/least", "shout: there is no argument 'least'; did you mean 'at_least'?"],
    ]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (
            "acme_scorers.none:Shout",
            "the entry point promptward.scorers:entry0 = acme_scorers.none:Shout cannot be loaded",
        ),
        ("acme_scorers.shout:__name__", "is neither a Scorer class, nor a module"),
        ("acme_scorers.twin:Twin", "two scorers are called 'exact_match'"),
        ("acme_scorers.hiding:Hiding", "fields ['reads'] hide parts of Scorer"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(site: Path, target: str, words: str) -> None:
    folder = site / "acme_scorers"
    twin = "from evaluators import Scorer\nclass {0}(Scorer, frozen=True):\n    name = '{1}'\n    {2}\n"
    (folder / "twin.py").write_text(twin.format("Twin", "exact_match", ""))
    (folder / "hiding.py").write_text(twin.format("Hiding", "hiding", "reads: int = 1"))
    installed(site, "acme_scorers", target)
    assert words in asked(site, "from evaluators import names; print(json.dumps(names()))")

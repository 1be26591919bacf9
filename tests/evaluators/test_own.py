"""A team's own scorers, each in a process of its own."""

import time
from pathlib import Path
from typing import Any

import pytest

from evaluators.contract import Sample, Scorer, ScorerConfigError
from evaluators.own.loading import OwnScorers, is_own, parse

TONE = '''
import math, os, sys, time
from evaluators import Sample, Score, Scorer

from scorers.words import KIND


def score(sample, words: list[str] = [], at_least: int = 1):
    """How kind it is."""
    print("kind words are counted")
    return float(sum(word in sample.output for word in [*KIND, *words]) >= at_least)


def does(sample):
    what = sample.output
    if what == "true": return True
    if what == "dict": return {"value": 0.25, "passed": False, "explanation": "a quarter", "evidence": {"n": 1}}
    if what == "score": return Score.ok(0.5, "half", passed=True)
    if what == "skipped": return Score.skipped("not for this one")
    if what == "nan": return math.nan
    if what == "two": return 2.0
    if what == "nothing": return None
    if what == "unknown": return {"value": 1, "pass": True}
    if what == "raise": raise KeyError("tone")
    if what == "exit": sys.exit(3)
    if what == "die": os._exit(3)
    if what == "sleep": time.sleep(60)
    if what == "fork" and os.fork() == 0:
        time.sleep(20); os._exit(0)
    if what == "fork": time.sleep(60)
    if what == "die soon":
        import threading
        threading.Timer(0.1, os._exit, [0]).start(); return 1.0
    if what == "hang":
        while True: pass
    if what == "surrogate": return {"value": 1, "explanation": "\\ud800"}
    return sample.reference == "r" and sample.inputs == {"a": 1} and sample.tags == ()


class Shout(Scorer, frozen=True):
    """1 when the output is in capitals."""

    name = "shout"
    binary = True
    needs = frozenset({"reference"})
    version = 3
    loud: bool = True

    def measure(self, sample: Sample) -> Score:
        return self.scored(float(sample.output.isupper() == self.loud), "compared with its capitals")


async def later(sample): return 1
def starred(sample, *words): return 1
def shadowing(sample, reads=1): return 1
def alone(): return 1
number = 5
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "scorers").mkdir(parents=True)
    (folder / "scorers" / "tone.py").write_text(TONE)
    (folder / "scorers" / "words.py").write_text('KIND = ["please"]\n')
    return folder


def built(root: Path, attribute: str, **args: Any) -> Scorer:
    return OwnScorers(root).load(f"./scorers/tone.py:{attribute}", args).scorer


def test_a_plain_function_is_a_scorer_with_typed_arguments(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scorer = built(root, "score", words=["thanks"], threshold=0.5)
    scores = scorer.score_batch([Sample(output="thanks"), Sample(output="no")])
    assert [(score.value, score.passed, score.name, score.direction) for score in scores] == [
        (1.0, True, "score", "maximize"),
        (0.0, False, "score", "maximize"),
    ]
    assert scorer.arguments() == {"threshold": 0.5, "negate": False, "words": ["thanks"], "at_least": 1}
    assert {"reference", "inputs", "context"} <= scorer.reads
    assert not {"others", "judge"} & scorer.reads
    shown = capfd.readouterr()
    assert (shown.out, shown.err.count("kind words")) == ("", 2)


def test_a_class_is_a_scorer_as_in_a_package(root: Path) -> None:
    scorer = built(root, "Shout", negate=True)
    assert (scorer.name, scorer.version, scorer.binary, scorer.reads) == ("shout", 3, True, {"reference"})
    score = scorer.score(Sample(output="HI", reference="x"))
    assert (score.value, score.passed, score.version) == (0.0, False, 3)
    assert scorer.score(Sample(output="HI")).status == "skipped"


@pytest.mark.parametrize(
    ("output", "status", "value", "passed", "words"),
    [
        ("true", "ok", 1.0, True, ""),
        ("dict", "ok", 0.25, False, "a quarter"),
        ("score", "ok", 0.5, True, "half"),
        ("skipped", "skipped", None, None, "not for this one"),
        ("nan", "error", None, None, "value nan is not between 0 and 1"),
        ("two", "error", None, None, "value 2.0 is not between"),
        ("nothing", "error", None, None, "returned NoneType"),
        ("unknown", "error", None, None, "unknown field `pass`"),
        ("raise", "error", None, None, "KeyError: 'tone'"),
        ("exit", "error", None, None, "SystemExit: 3"),
        ("surrogate", "error", None, None, "cannot be kept"),
        ("x", "ok", 1.0, True, ""),
        ("\ud800", "ok", 1.0, True, ""),
        ("", "ok", 1.0, True, ""),
        ("y" * 1_000_000, "ok", 1.0, True, ""),
    ],
)
def test_what_a_function_returns_is_a_value_or_says_why_not(
    root: Path, output: str, status: str, value: float | None, passed: bool | None, words: str
) -> None:
    score = built(root, "does").score(Sample(output=output, reference="r", inputs={"a": 1}, tags=("t",)))
    assert (score.status, score.value, score.passed) == (status, value, passed)
    assert words in score.explanation


def test_not_turns_values_round_and_no_error_into_a_pass(root: Path) -> None:
    turned = built(root, "does", negate=True)
    found = [turned.score(Sample(output=output)) for output in ("true", "dict", "raise", "nan")]
    assert [(score.value, score.passed) for score in found] == [(0.0, False), (0.75, True), (None, None), (None, None)]


def test_a_sample_that_takes_too_long_or_ends_the_process_costs_only_itself(
    root: Path,
) -> None:
    scorer = OwnScorers(root, sample_s=0.3).load("./scorers/tone.py:does").scorer
    begun = time.monotonic()
    found = scorer.score_batch([Sample(output=output) for output in ("hang", "true", "die", "true", "sleep", "true")])
    assert [score.status for score in found] == ["error", "ok", "error", "ok", "error", "error"]
    assert [score.explanation for score in found if score.status == "error"] == [
        "scorers/tone.py took longer than 0.3 s",
        "scorers/tone.py ended its process",
        "scorers/tone.py took longer than 0.3 s",
        "scorers/tone.py is not asked any more: it took too long or ended 3 times",
    ]
    assert time.monotonic() - begun < 8


def test_a_process_that_the_code_started_does_not_keep_the_next_samples_waiting(root: Path) -> None:
    scorer = OwnScorers(root, sample_s=0.3).load("./scorers/tone.py:does").scorer
    begun = time.monotonic()
    found = scorer.score_batch([Sample(output=output) for output in ("fork", "true")])
    assert [score.status for score in found] == ["error", "ok"]
    assert time.monotonic() - begun < 10


def test_a_process_that_ended_between_two_samples_is_started_again(root: Path) -> None:
    scorer = built(root, "does")
    assert scorer.score(Sample(output="die soon")).status == "ok"
    time.sleep(0.5)
    found = scorer.score_batch([Sample(output="true"), Sample(output="true")])
    assert [score.status for score in found] == ["error", "ok"]
    assert found[0].explanation == "scorers/tone.py ended its process"


def test_a_file_of_the_project_does_not_take_the_place_of_a_standard_module(root: Path) -> None:
    (root / "json.py").write_text("raise SystemExit('not the standard one')")
    assert built(root, "does").score(Sample(output="true")).value == 1


def test_a_changed_file_is_another_source_also_when_it_is_imported(root: Path) -> None:
    def source() -> str:
        return OwnScorers(root).load("./scorers/tone.py:score").source

    before = source()
    assert source() == before
    (root / "scorers" / "unused.py").write_text("x = 1")
    assert source() == before
    (root / "scorers" / "words.py").write_text('KIND = ["kindly"]\n')
    assert source() != before


@pytest.mark.parametrize(
    ("use", "args", "pointer", "words"),
    [
        ("./scorers/none.py:score", {}, "/use", "there is no file scorers/none.py in project/"),
        ("./scorers/tone.py:other", {}, "/use", "scorers/tone.py defines no other"),
        ("./scorers/tone.py:number", {}, "/use", "neither a function nor a Scorer class"),
        ("./scorers/tone.py:later", {}, "/use", "plain function"),
        ("./scorers/tone.py:starred", {}, "/use", "name the parameter 'words'"),
        ("./scorers/tone.py:shadowing", {}, "/use", "'reads' needs another name"),
        ("./scorers/tone.py:alone", {}, "/use", "take the sample"),
        ("./scorers/tone.py:score", {"word": []}, "/args/word", "did you mean 'words'"),
        ("./scorers/tone.py:score", {"at_least": "x"}, "/args/at_least", "expected `int`"),
        ("./scorers/tone.py:score", {"threshold": 0}, "/args/threshold", "can never fail"),
        ("./scorers/broken.py:score", {}, "/use", "ModuleNotFoundError"),
        ("./scorers/ending.py:score", {}, "/use", "ended its process"),
        ("./scorers/judging.py:Judging", {}, "/use", "asks a model"),
        ("./scorers/../scorers/tone.py:score", {}, "/use", "inside the project"),
        ("../tone.py:score", {}, "/use", "write ./scorers/tone.py:score"),
        ("/etc/tone.py:score", {}, "/use", "write ./scorers/tone.py:score"),
        ("./.scorers/tone.py:score", {}, "/use", "hidden folder"),
        ("./outside.py:score", {}, "/use", "leads out of the project"),
        ("./outer/tone.py:score", {}, "/use", "leads out of the project"),
    ],
)
def test_what_cannot_be_a_scorer_is_refused_with_the_reason(
    root: Path, use: str, args: dict[str, Any], pointer: str, words: str
) -> None:
    (root / "scorers" / "broken.py").write_text("import not_there")
    (root / "scorers" / "ending.py").write_text("import os; os._exit(0)")
    judging = "from evaluators import JudgeScorer\nclass Judging(JudgeScorer, frozen=True):\n    name = 'judging'\n"
    (root / "scorers" / "judging.py").write_text(judging)
    (root.parent / "tone.py").write_text("def score(sample): return 1")
    (root / "outside.py").symlink_to(root.parent / "tone.py")
    (root / "outer").symlink_to(root.parent)
    assert is_own(use)
    with pytest.raises(ScorerConfigError) as refusal:
        OwnScorers(root).load(use, args)
    assert words in refusal.value.message
    assert refusal.value.pointer == pointer


def test_where_files_are_not_run_the_refusal_says_what_to_do(root: Path) -> None:
    with pytest.raises(ScorerConfigError, match="use a package"):
        OwnScorers(None, "use a package").load("./scorers/tone.py:score")
    assert parse("./scorers/tone.py:score") == ("scorers/tone.py", "score")
    assert not is_own("exact_match")


def test_thousands_of_samples_go_through_one_process(root: Path) -> None:
    scorer = built(root, "does")
    scores = scorer.score_batch([Sample(output="word " * 100, reference="r") for _ in range(2_000)])
    assert [score.status for score in scores] == ["ok"] * 2_000

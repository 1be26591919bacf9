"""The process that runs a team's own code: loads one scorer, then scores sample after sample until nobody asks any more.

What the code prints goes to stderr, what it raises becomes a score with status `error`, and a sample that takes too long
ends the process: no other way stops a thread that never returns.
"""

import faulthandler
import hashlib
import importlib.util
import inspect
import io
import os
import sys
from pathlib import Path
from typing import IO, Any

import msgspec

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.judging import JudgeScorer
from evaluators.own.functions import scorer_of
from evaluators.own.protocol import Described, Load, Refused, read, write
from evaluators.registry import convert

MODULE = "promptward_own_scorer"


def main() -> None:
    """Speaks the protocol on what were stdin and stdout."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what a scorer prints is seen while it works
    serve(questions, answers)


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    load = msgspec.msgpack.decode(read(questions), type=Load)
    try:
        scorer = loaded(load)
        described = _described(scorer, Path(load.root))
    except ScorerConfigError as exc:
        write(answers, Refused(exc.message, exc.pointer))
        return
    write(answers, described)
    with Path(os.devnull).open("w") as nowhere:
        while True:
            try:
                sample = msgspec.msgpack.decode(read(questions), type=Sample)
            except EOFError:
                return
            faulthandler.dump_traceback_later(load.limit_s, exit=True, file=nowhere)
            score = _scored(scorer, sample)
            try:
                write(answers, score)
            except (UnicodeEncodeError, TypeError, ValueError) as exc:
                write(answers, Score.error(f"the scorer's answer cannot be kept: {exc}"))
            faulthandler.cancel_dump_traceback_later()


def loaded(load: Load) -> Scorer:
    """The scorer that the file defines. Raises ScorerConfigError, also for whatever the file itself raises."""
    sys.path.insert(0, load.root)
    spec = importlib.util.spec_from_file_location(MODULE, Path(load.root) / load.path)
    assert spec is not None  # noqa: S101 - the name of the file ends in .py
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    try:
        spec.loader.exec_module(module)
        thing: Any = getattr(module, load.attribute, None)
    except BaseException as exc:  # whatever it is becomes a refusal that says so, SystemExit too
        message = f"{load.path} cannot be loaded: {type(exc).__name__}: {exc}"
        raise ScorerConfigError(message, "/use") from exc
    if thing is None:
        raise ScorerConfigError(f"{load.path} defines no {load.attribute}", "/use")
    if isinstance(thing, type) and issubclass(thing, Scorer):
        if issubclass(thing, JudgeScorer):
            message = f"{load.attribute} asks a model, which a file cannot; write a rubric, or a package with scorers"
            raise ScorerConfigError(message, "/use")
        if "name" not in dir(thing):
            raise ScorerConfigError(f"{load.attribute} has no `name`", "/use")
        return convert(thing, load.args)
    if inspect.isfunction(thing):
        return convert(scorer_of(thing), load.args)
    raise ScorerConfigError(f"{load.attribute} is neither a function nor a Scorer class", "/use")


def _described(scorer: Scorer, root: Path) -> Described:
    values = scorer.value_range
    return Described(
        name=scorer.name,
        version=scorer.version,
        reads=sorted(scorer.reads),
        binary=scorer.binary,
        direction=values.direction,
        low=values.low,
        high=values.high,
        unit=values.unit,
        arguments=scorer.arguments(),
        sources=_sources(root),
    )


def _sources(root: Path) -> dict[str, str]:
    """The project's own files among the modules that are loaded now; installed packages are not the project's."""
    found: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] == "evaluators" or not isinstance(file, str) or not Path(file).is_relative_to(root):
            continue
        relative = Path(file).relative_to(root)
        if any(part.startswith(".") or part == "site-packages" for part in relative.parts):
            continue
        found[relative.as_posix()] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return found


def _scored(scorer: Scorer, sample: Sample) -> Score:
    try:
        return scorer.score(sample)
    except BaseException as exc:  # noqa: BLE001 - SystemExit must not end the process that others still ask
        return Score.error(f"the scorer {scorer.name} failed: {type(exc).__name__}: {exc}")

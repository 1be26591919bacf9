"""Finds a team's own scorers in a project's folder, and stands for them in the process that scores."""

import contextlib
import functools
import hashlib
import os
import re
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

import msgspec

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.own.protocol import Described, Load, Refused, read, write
from evaluators.text import without_surrogates

SAMPLE_S = 10.0
"""How long one sample may take."""
GRACE_S = 2.0
"""How much later a process is ended that did not end itself."""
START_S = 30.0
"""How long the file may take to load."""
MAX_LOST = 3
"""So many samples may end the process before no more are tried."""

_USE = re.compile(r"\./(?P<path>[^\\:]+\.py):(?P<attribute>[A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from evaluators.own.process import main; main()"


class Own(NamedTuple):
    """The file, from the project's folder, and what it defines."""

    path: str
    attribute: str


class Loaded(NamedTuple):
    """A scorer and the digest of the files that it consists of."""

    scorer: Scorer
    source: str


def is_own(use: str) -> bool:
    """Whether a suite's `use` means a file, not a name."""
    return use.startswith(("./", "../", "/")) or ".py:" in use


def parse(use: str) -> Own:
    """The parts of `./folder/file.py:function`. Raises ScorerConfigError (pointer `/use`)."""
    match = _USE.fullmatch(use)
    if match is None:
        raise ScorerConfigError(f"{use!r} is no scorer of a file; write ./scorers/tone.py:score", "/use")
    parts = match["path"].split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ScorerConfigError(f"{use!r} must lie inside the project: a path without empty parts, . and ..", "/use")
    if any(part.startswith(".") or part == "site-packages" for part in parts):
        message = f"{use!r} lies in a hidden folder or among packages, whose changes are not followed; move it"
        raise ScorerConfigError(message, "/use")
    return Own(match["path"], match["attribute"])


class OwnScorers:
    """The own scorers of one project. Without a `root` there are none, and `refusal` says to whoever asks what to do."""

    def __init__(
        self, root: Path | None = None, refusal: str = "files are not run as scorers here", sample_s: float = SAMPLE_S
    ) -> None:
        self._root, self._refusal, self._sample_s = root, refusal, sample_s

    def load(self, use: str, args: Mapping[str, Any] | None = None) -> Loaded:
        """Runs the file in a process of its own, which lives as long as the scorer. Raises ScorerConfigError."""
        own = parse(use)
        if self._root is None:
            raise ScorerConfigError(f"{use}: {self._refusal}", "/use")
        root = self._root.resolve()
        try:
            file = (root / PurePosixPath(own.path)).resolve(strict=True)
        except (OSError, RuntimeError) as exc:
            raise ScorerConfigError(f"{use}: there is no file {own.path} in {root.name}/", "/use") from exc
        if not file.is_relative_to(root) or not file.is_file():
            raise ScorerConfigError(f"{use}: {own.path} leads out of the project or is no file", "/use")
        host = _Host(Load(str(root), own.path, own.attribute, dict(args or {}), self._sample_s))
        try:
            described = host.start()
        except ScorerConfigError as exc:
            raise ScorerConfigError(f"{use}: {exc.message}", exc.pointer) from exc
        whole = hashlib.sha256(msgspec.json.encode(sorted(described.sources.items()))).hexdigest()
        return Loaded(_stand_in(described, host), f"sha256:{whole}")


class Hosted(Scorer, frozen=True):
    """Stands for a scorer that runs in another process, which does all of the work: also threshold and negation."""

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    def arguments(self) -> dict[str, Any]:
        described: Described = self.__dict__["described"]
        return described.arguments

    def measure(self, sample: Sample) -> Score:
        host: _Host = self.__dict__["host"]
        return host.ask(sample)


def _stand_in(described: Described, host: "_Host") -> Scorer:
    says = {
        "name": described.name,
        "version": described.version,
        "needs": frozenset(described.reads),
        "binary": described.binary,
        "direction": described.direction,
        "low": described.low,
        "high": described.high,
        "unit": described.unit,
    }
    made = msgspec.defstruct(described.name, [], bases=(Hosted,), namespace=says, frozen=True, kw_only=True)
    scorer = cast("Scorer", made())
    scorer.__dict__["described"], scorer.__dict__["host"] = described, host
    return scorer


class _Host:
    """The other process. One question at a time; a process that ended is started again for the next one."""

    def __init__(self, load: Load) -> None:
        self._load, self._lock, self._lost = load, threading.Lock(), 0
        self._pipes: tuple[IO[bytes], IO[bytes]] | None = None
        self._process: Any = None
        self._end: weakref.finalize[Any, Any] | None = None

    def start(self) -> Described:
        """Raises ScorerConfigError, also when the file does not finish loading."""
        import json
        import subprocess

        process = subprocess.Popen(  # noqa: S603 - our own program; what it loads was allowed
            # -P: a file of the project is no standard module, even if it is called json.py.
            [sys.executable, "-P", "-c", _BOOT, json.dumps([path or str(Path.cwd()) for path in sys.path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._load.root,
            start_new_session=True,  # Ctrl-C is for the command, which ends this process itself
        )
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        self._pipes = process.stdin, process.stdout
        self._process = process
        self._end = weakref.finalize(self, _ended, process)
        overdue = threading.Timer(START_S, _kill, [process])
        overdue.start()
        try:
            write(process.stdin, self._load)
            answer = msgspec.msgpack.decode(read(process.stdout), type=Described | Refused)
        except (EOFError, OSError) as exc:
            self.stop()
            message = f"{self._load.path} ended its process, or took longer than {START_S:.0f} s to load"
            raise ScorerConfigError(message, "/use") from exc
        finally:
            overdue.cancel()
        if isinstance(answer, Refused):
            self.stop()
            raise ScorerConfigError(answer.message, answer.pointer)
        return answer

    def ask(self, sample: Sample) -> Score:
        with self._lock:
            if self._lost >= MAX_LOST:
                return Score.error(
                    f"{self._load.path} is not asked any more: it took too long or ended {MAX_LOST} times"
                )
            try:
                if self._pipes is None:
                    self.start()
            except ScorerConfigError as exc:
                self._lost += 1
                return Score.error(f"{self._load.path} could not be started again: {exc.message}")
            begun = time.monotonic()
            # What the code started may outlive its process and hold the pipe open.
            overdue = threading.Timer(self._load.limit_s + GRACE_S, _kill, [self._process])
            overdue.start()
            try:
                return self._answer(sample)
            except (EOFError, OSError):
                self.stop()
                self._lost += 1
                took = time.monotonic() - begun
                why = (
                    f"took longer than {self._load.limit_s:g} s" if took >= self._load.limit_s else "ended its process"
                )
                return Score.error(f"{self._load.path} {why}")
            finally:
                overdue.cancel()

    def _answer(self, sample: Sample) -> Score:
        assert self._pipes is not None  # noqa: S101
        questions, answers = self._pipes
        try:
            write(questions, sample)
        except UnicodeEncodeError:
            # Half a character is no text for any other process either.
            try:
                write(questions, msgspec.structs.replace(sample, output=without_surrogates(sample.output)))
            except UnicodeEncodeError:
                return Score.error("the case holds half a character, which cannot be handed to another process")
        except (TypeError, ValueError) as exc:
            return Score.error(f"the case cannot be handed to another process: {exc}")
        return _decoder().decode(read(answers))

    def stop(self) -> None:
        if self._end is not None:
            self._end()
        self._pipes = None


@functools.cache
def _decoder() -> msgspec.msgpack.Decoder[Score]:
    return msgspec.msgpack.Decoder(Score)


def _kill(process: Any) -> None:
    """Ends the process and all that it started, which is its group."""
    import signal

    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _ended(process: Any) -> None:
    _kill(process)
    process.wait()
    with contextlib.suppress(BrokenPipeError):  # what was not read is lost with its reader
        process.stdin.close()
    process.stdout.close()

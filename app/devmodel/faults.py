"""Being slow, limited and broken on demand: which request fails, and how. The kinds are told in the package's docstring."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import blake2b
from urllib.parse import parse_qsl

import msgspec

from app.devmodel.errors import RequestError

KINDS = ("timeout", "stall", "disconnect", "truncated", "html", "empty", "stream_error")
_SPEC = re.compile(r"([a-z_]+|[45]\d\d)(?::(0?\.\d+|[01](?:\.0*)?)|\*(\d{1,6}))?")
_MOST_REMEMBERED = 100_000


class Fault(msgspec.Struct, frozen=True):
    """A kind, and when it strikes: for a `share` of the requests, or the first `times` that a request arrives."""

    kind: str
    share: float = 1.0
    times: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read `KIND`, `KIND:SHARE` or `KIND*TIMES`. Raises RequestError (400) for anything else."""
        found = _SPEC.fullmatch(text.strip())
        if found is None or not (found[1].isdigit() or found[1] in KINDS):
            raise RequestError(
                f"{text!r} is no fault: write a kind, kind:share or kind*times, "
                f"with one of {', '.join(KINDS)} or a status from 400 to 599",
                code="unknown_fault",
            )
        return cls(found[1], float(found[2] or 1), int(found[3]) if found[3] else None)


class Conditions(msgspec.Struct, frozen=True):
    """Under which conditions a request is answered: slow by so much, and broken by one of these."""

    latency_ms: float = 0.0
    chunk_ms: float = 0.0
    retry_after_s: float = 1.0
    faults: tuple[Fault, ...] = ()


def conditions(model: str, headers: dict[bytes, bytes], default: Conditions) -> tuple[str, Conditions]:
    """The model's bare id, and the conditions that its suffix and the headers ask for.

    A suffix or header replaces the server's own value of the same name. Raises RequestError (400) when one is malformed.
    """
    name, _, suffix = model.partition("?")
    fault_header, latency_header = headers.get(b"x-devmodel-fault"), headers.get(b"x-devmodel-latency-ms")
    if not suffix and fault_header is None and latency_header is None:
        return name, default
    values: dict[str, float] = {}
    faults: list[Fault] = []
    for key, value in parse_qsl(suffix, keep_blank_values=True):
        if key == "fail":
            faults.append(Fault.parse(value))
        elif key in ("latency_ms", "chunk_ms", "retry_after"):
            values["retry_after_s" if key == "retry_after" else key] = _duration(key, value)
        else:
            raise RequestError(
                f"{key!r} is no parameter of a development model: use latency_ms, chunk_ms, fail or retry_after",
                param="model",
            )
    if latency_header is not None:
        values["latency_ms"] = _duration("x-devmodel-latency-ms", latency_header.decode("latin-1"))
    if fault_header is not None:
        faults.extend(Fault.parse(one) for one in fault_header.decode("latin-1").split(","))
    return name, msgspec.structs.replace(default, **values, faults=tuple(faults) or default.faults)


def _duration(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 3_600_000:
        raise RequestError(f"{name} is a number of at least 0, not {value!r}", param="model")
    return number


class Chooser:
    """Decides which requests fail. It depends on the seed, the request and how often it came, never on the order."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._arrivals: Counter[bytes] = Counter()

    def choose(self, faults: Iterable[Fault], request: bytes) -> str | None:
        """The kind of the first fault that strikes this request, or None."""
        key = blake2b(request, digest_size=8).digest()
        if len(self._arrivals) >= _MOST_REMEMBERED and key not in self._arrivals:
            self._arrivals.clear()
        self._arrivals[key] += 1
        arrival = self._arrivals[key]
        for place, fault in enumerate(faults):
            if fault.times is not None:
                if arrival <= fault.times:
                    return fault.kind
            elif fault.share >= 1 or self._draw(key, arrival, place) < fault.share:
                return fault.kind
        return None

    def _draw(self, key: bytes, arrival: int, place: int) -> float:
        drawn = blake2b(key + b"%d/%d/%d" % (self._seed, arrival, place), digest_size=6).digest()
        return int.from_bytes(drawn) / 2**48


class RateLimit:
    """At most so many requests per minute, spread evenly (GCRA), with a second's worth allowed at once."""

    def __init__(self, rpm: float, clock: Callable[[], float] = time.monotonic) -> None:
        if rpm <= 0:
            raise ValueError(f"a rate limit is a positive number of requests per minute, not {rpm}")
        self._interval = 60.0 / rpm
        self._burst = max(1.0, rpm / 60.0)
        self._clock = clock
        self._next = 0.0

    def wait_s(self) -> float:
        """0 when the request may pass (and is counted), else the seconds until one may."""
        now = self._clock()
        arrival = max(self._next, now)
        early = arrival - now - (self._burst - 1) * self._interval
        if early > 1e-9:
            return early
        self._next = arrival + self._interval
        return 0.0

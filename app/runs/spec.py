"""What a run is resolved to when it is made, and stored as: nothing moves under it afterwards."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from evaluators.metrics.reducers import COUNTING, Reducer

Direction = Literal["maximize", "minimize"]


class Metric(msgspec.Struct, frozen=True):
    """One scorer of the suite. `args` are the suite's; `rubric`, `judges` and `embedder` are digests, `judge` is the first.
    `measured`: it reads the time until an answer began, so that answers are streamed. `self_judged`: a judge is a model
    under test, which the suite allows.

    `source` is the digest of the files of a team's own scorer, `identity` that of what decides a score beside the answer and the item.
    A `derived` metric is made of other scores of its cell (`derived.Made`), and stands behind all that are not. `reduce` (with
    `k`) makes one number of a case's repeats.
    """

    name: str
    use: str
    version: int
    args: dict[str, Any]
    when: list[str]
    weight: float
    direction: Direction
    low: float
    high: float | None
    unit: str | None
    binary: bool
    identity: str
    rubric: str | None = None
    rubric_ref: str | None = None
    judge: str | None = None
    judges: list[str] = []
    judge_names: list[str] = []
    embedder: str | None = None
    embedder_name: str | None = None
    measured: bool = False
    source: str | None = None
    self_judged: bool = False
    derived: dict[str, Any] | None = None
    reduce: Reducer = "mean"
    k: int = 1

    @property
    def of_cases(self) -> "Metric":
        """The metric of whole cases: counted passes have a scale of their own."""
        if self.reduce not in COUNTING:
            return self
        binary = self.reduce in ("majority", "at_least_k")
        return msgspec.structs.replace(self, direction="maximize", low=0.0, high=1.0, unit=None, binary=binary)

    @property
    def pin(self) -> str:
        """What a gate's two sides must have in common: the identity, and how repeats become one number."""
        if self.reduce == "mean":
            return self.identity
        return "sha256:" + _hash(self.identity, self.reduce, str(self.k)).hex()

    def applies_to(self, tags: Sequence[str]) -> bool:
        return not self.when or any(tag in self.when for tag in tags)

    @property
    def judged(self) -> bool:
        """A model gives the values."""
        return self.judge is not None


class Variant(msgspec.Struct, frozen=True):
    """A candidate on one endpoint. The texts name the parts for people, the digests say exactly which content. `epoch` keeps
    its answers apart from those of other epochs: empty, the run's id, or the id of a release. `batch`: it is asked by its
    endpoint's Batch API."""

    id: str
    candidate: str
    prompt: str
    endpoint: str
    endpoint_name: str
    prompt_digest: str
    endpoint_digest: str
    bundle: str
    deciding: str
    rag_config: str | None = None
    tool_config: str | None = None
    rag_digest: str | None = None
    tools_digest: str | None = None
    params: dict[str, Any] = {}
    epoch: str = ""
    batch: bool = False


class Spec(msgspec.Struct, frozen=True):
    """The run as it was asked for, with everything resolved. `asked` is the request itself, its references pinned; runs of
    earlier releases lack it."""

    suite: str
    suite_digest: str
    dataset: str
    dataset_digest: str
    repeats: int
    variants: list[Variant]
    metrics: list[Metric]
    cases: int
    max_cases: int | None = None
    fresh: bool = False
    warnings: list[str] = []
    asked: dict[str, Any] | None = None

    @property
    def contents(self) -> Iterator[tuple[str, str | None]]:
        """Kind and digest of all that the run is about."""
        yield from (("suite", self.suite_digest), ("dataset", self.dataset_digest))
        for v in self.variants:
            yield from (("prompt", v.prompt_digest), ("endpoint", v.endpoint_digest))
            yield from (("rag_config", v.rag_digest), ("tool_config", v.tools_digest))
        for metric in self.metrics:
            yield from (("rubric", metric.rubric), ("endpoint", metric.judge), ("endpoint", metric.embedder))
            yield from (("endpoint", judge) for judge in metric.judges)

    @property
    def candidates(self) -> list[str]:
        """The ids of the candidates, in their order."""
        return list(dict.fromkeys(variant.candidate for variant in self.variants))

    def of(self, candidate: str) -> list[int]:
        """The numbers of a candidate's variants, or of the one variant of that id."""
        return [no for no, v in enumerate(self.variants) if candidate in (v.candidate, v.id)]


class Case(msgspec.Struct, frozen=True, array_like=True):
    """One item of the dataset as a run remembers it: enough to pair and to slice without reading its body."""

    id: str
    digest: str
    tags: list[str] = []
    cluster: str | None = None


_cases = msgspec.msgpack.Decoder(list[Case])


def encode_cases(cases: Sequence[Case]) -> bytes:
    return msgspec.msgpack.encode(cases)


def decode_cases(data: bytes) -> list[Case]:
    return _cases.decode(data)


CRITICAL = "critical"
"""Cases with this tag are called first: a candidate that breaks one need not be paid for any further."""


class Cell(NamedTuple):
    """Where a cell stands in the grid."""

    variant_no: int
    case_no: int
    repeat: int


def sample(item_ids: Sequence[str], size: int | None, seed: int | None = None) -> list[int]:
    """The positions of `size` items, in their order; for a seed always the same ones, and a larger sample holds the smaller
    ones."""
    if size is None or size >= len(item_ids):
        return list(range(len(item_ids)))
    return sorted(_shuffled(item_ids, range(len(item_ids)), seed)[:size])


def stratified(item_ids: Sequence[str], strata: Sequence[str], size: int | None, seed: int | None = None) -> list[int]:
    """The same with the strata (one per item) in their shares of the whole, one of each at least where `size` allows.

    Shares are those of Webster's method (the Sainte-Laguë divisors): next comes the stratum with the largest n / (2k + 1), of
    which k items are taken. Unlike the largest remainder it never takes an item back when the sample grows.
    """
    if size is None or size >= len(item_ids):
        return list(range(len(item_ids)))
    members: dict[str, list[int]] = {}
    for position, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(position)
    waiting = {name: iter(_shuffled(item_ids, positions, seed)) for name, positions in members.items()}
    # First one of each, the largest first; from then on by their quotients. Names settle ties.
    queue = [(-float("inf"), -len(positions), name, 0) for name, positions in members.items()]
    heapq.heapify(queue)
    taken: list[int] = []
    while len(taken) < size:
        _, negative, name, count = heapq.heappop(queue)
        taken.append(next(waiting[name]))
        if count + 1 < -negative:
            heapq.heappush(queue, (negative / (2 * count + 3), negative, name, count + 1))
    return sorted(taken)


def _shuffled(item_ids: Sequence[str], positions: Iterable[int], seed: int | None) -> list[int]:
    salt = ["sample"] if seed is None else ["sample", str(seed)]
    return sorted(positions, key=lambda no: _hash(*salt, item_ids[no]))


def case_order(run_id: str, cases: Sequence[Case]) -> list[int]:
    """The cases in the order in which a run calls them: critical ones first, else as the run's id shuffles them."""
    return sorted(range(len(cases)), key=lambda no: (CRITICAL not in cases[no].tags, _hash(run_id, cases[no].id)))


def in_calling_order(cells: Iterable[Cell], order: Sequence[int]) -> list[Cell]:
    """Case by case, repeat by repeat, the variants beside each other: what a stopped run has can be compared."""
    place = {case_no: i for i, case_no in enumerate(order)}
    return sorted(cells, key=lambda cell: (place[cell.case_no], cell.repeat, cell.variant_no))


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()

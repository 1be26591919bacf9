"""What the server does to every request that does not say otherwise."""

import msgspec

from app.devmodel.batches import FAULTS
from app.devmodel.errors import RequestError
from app.devmodel.faults import Conditions, Fault


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the server behaves for every request that does not say otherwise.

    latency_ms: waited before an answer. chunk_ms: waited between the chunks of a stream. rate_limit: requests per
    minute, all callers together (429 above it). fail_rate, fail_kind: share of the requests that fail, and how.
    seed: decides which. api_key: when set, requests need `Authorization: Bearer <api_key>`.
    batch_polls: how often a batch is looked at before it ends. batch_fault: what goes wrong with batches (`batches.FAULTS`).
    Raises ValueError for values that make no sense.
    """

    latency_ms: float = 0.0
    chunk_ms: float = 0.0
    rate_limit: float | None = None
    fail_rate: float = 0.0
    fail_kind: str = "500"
    seed: int = 0
    api_key: str | None = None
    batch_polls: int = 1
    batch_fault: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.fail_rate <= 1:
            raise ValueError(f"fail_rate is a share from 0 to 1, not {self.fail_rate}")
        if min(self.latency_ms, self.chunk_ms) < 0:
            raise ValueError("latency_ms and chunk_ms are at least 0")
        if self.rate_limit is not None and self.rate_limit <= 0:
            raise ValueError(f"rate_limit is a positive number of requests per minute, not {self.rate_limit}")
        if self.batch_polls < 0 or self.batch_fault not in (None, *FAULTS):
            raise ValueError(f"batch_polls is at least 0, and batch_fault one of {', '.join(FAULTS)}")
        try:
            Fault.parse(self.fail_kind)
        except RequestError as error:
            raise ValueError(f"fail_kind: {error}") from error

    def conditions(self) -> Conditions:
        """The same as the conditions of a request."""
        faults = (msgspec.structs.replace(Fault.parse(self.fail_kind), share=self.fail_rate),) if self.fail_rate else ()
        return Conditions(latency_ms=self.latency_ms, chunk_ms=self.chunk_ms, faults=faults)

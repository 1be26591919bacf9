"""The one retry loop's rules. The SDK's own retries are off."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from app.llm.errors import EndpointError


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often and how long. A rate limit is no fault and may be met more often than others.

    Pauses double from `base_s` to `most_s`, each with jitter; `Retry-After` is honoured. No attempt begins after `total_s`.
    """

    attempts: int = 4
    rate_limited_attempts: int = 8
    base_s: float = 0.5
    most_s: float = 15.0
    total_s: float = 120.0

    def pause_s(self, error: EndpointError, attempt: int, elapsed_s: float) -> float | None:
        """Seconds until the next attempt after the `attempt`-th failed with `error`; none to give up."""
        most = self.rate_limited_attempts if error.kind == "rate_limit" else self.attempts
        if not error.retryable or attempt >= most:
            return None
        pause = min(self.most_s, self.base_s * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        if error.retry_after_s is not None:
            pause = max(error.retry_after_s, 0.0) + pause * 0.1
        return pause if elapsed_s + pause <= self.total_s else None


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that `Retry-After` (RFC 9110, seconds or a date) or `retry-after-ms` asks for."""
    milliseconds, value = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000.0)
        return None if value is None else max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())

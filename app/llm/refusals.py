"""Whether an endpoint that refuses a call means all of them."""

MEMORY = 100
"""About how many calls are remembered."""
NOISE = 0.15


class Refusals:
    """The share of the newest calls that were refused, each counting a little less than the one after it.

    Some endpoints refuse a few calls in a hundred whatever the load. Those calls wait as long as they are told; were all others
    to wait with them, a run would take many times as long. More than `NOISE` means that the endpoint is called too much.
    """

    def __init__(self) -> None:
        self._begun = self._refused = 0.0

    def begun(self) -> None:
        """Calls count from their start: refusals come sooner than answers, and would seem to be all there is."""
        kept = 1.0 - 1.0 / MEMORY
        self._begun = self._begun * kept + 1.0
        self._refused *= kept

    def refused(self) -> bool:
        """Counts a refusal, and says whether it concerns the whole endpoint."""
        self._refused += 1.0
        return self._refused > NOISE * self._begun

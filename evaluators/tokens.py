"""How many tokens a text has. The library itself can only estimate; a service sets its own counter at start."""

from typing import NamedTuple, Protocol

BYTES_PER_TOKEN = 4


class TokenCount(NamedTuple):
    tokens: int
    exact: bool
    source: str  # what counted, for explanations: "o200k_base", "estimate: 4 bytes a token"


class TokenCounter(Protocol):
    def __call__(self, text: str, model: str | None) -> TokenCount:
        """Count the tokens of a text as that model would (None: the most common encoding). Must not use a network."""
        ...


def estimate(text: str, model: str | None = None) -> TokenCount:  # noqa: ARG001 - the signature is TokenCounter's
    """UTF-8 bytes over four, rounded up: near for English, within a factor of two for most scripts."""
    size = len(text.encode("utf-8", "surrogatepass"))
    return TokenCount(-(-size // BYTES_PER_TOKEN), False, f"estimate: {BYTES_PER_TOKEN} bytes a token")


_counter: TokenCounter = estimate


def set_counter(counter: TokenCounter) -> None:
    """Have all scorers of this process count tokens by `counter`."""
    global _counter  # noqa: PLW0603 - one process, one vocabulary store
    _counter = counter


def count(text: str, model: str | None = None) -> TokenCount:
    """Tokens of the text by the counter that is set, else the estimate."""
    return _counter(text, model)

"""What a call cost."""

from app.llm.schemas import Price, Usage


def cost_nano(price: Price | None, usage: Usage | None) -> int | None:
    """Whole nano-dollars (1e-9 US dollars), rounded half up; none when price or usage is not known.

    A price of one dollar per million tokens is 1,000 nano-dollars per token.
    """
    if price is None or usage is None:
        return None
    cached_price = price.input if price.cached_input is None else price.cached_input
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    dollars_per_million = (
        price.input * (usage.prompt_tokens - cached) + cached_price * cached + price.output * usage.completion_tokens
    )
    return int(dollars_per_million * 1000.0 + 0.5)

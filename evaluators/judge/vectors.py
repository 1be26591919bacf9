"""How near two texts are by their embeddings."""

import math
from collections.abc import Sequence

from evaluators.judging import JudgeUnavailableError, Models


async def similarity(models: Models, text: str, others: Sequence[str]) -> list[float]:
    """Cosine of the text with each of the others. Raises JudgeUnavailableError, also for a vector that is no direction."""
    first, *rest = await models.embed([text, *others])
    return [_cosine(first, each) for each in rest]


def _cosine(left: list[float], right: list[float]) -> float:
    lengths = math.hypot(*left) * math.hypot(*right)
    cosine = math.fsum(a * b for a, b in zip(left, right, strict=True)) / lengths if lengths else math.nan
    if not math.isfinite(cosine):
        raise JudgeUnavailableError("the endpoint for embeddings gave a vector without direction")
    return min(1.0, max(-1.0, cosine))

"""Scoring many samples without holding up an event loop."""

import asyncio
from collections.abc import Sequence

from evaluators.contract import Sample, Score, Scorer
from evaluators.judging import Judge, JudgeScorer, Models

CHUNK = 1024


async def score_all(
    scorer: Scorer, samples: Sequence[Sample], models: Models | Judge | None = None, *, concurrency: int = 16
) -> list[Score]:
    """One score per sample, in order.

    Pure scorers work in a thread, `CHUNK` samples at a time; scorers that ask a model have at most `concurrency` samples
    under judgement at once, and without models give status `error`.
    """
    if isinstance(scorer, JudgeScorer) and models is not None:
        room = asyncio.Semaphore(concurrency)

        async def one(judge: JudgeScorer, sample: Sample) -> Score:
            async with room:
                return await judge.score_with(sample, models)

        return list(await asyncio.gather(*(one(scorer, sample) for sample in samples)))
    scores: list[Score] = []
    for start in range(0, len(samples), CHUNK):
        scores += await asyncio.to_thread(scorer.score_batch, samples[start : start + CHUNK])
    return scores

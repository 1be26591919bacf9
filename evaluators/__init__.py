"""Scorers for the answers of language models: a pure library, without web, database or model client.

`build("exact_match", {"ignore_case": True}).score(Sample(output="Paris", reference="paris"))`
"""

from evaluators.batch import score_all
from evaluators.contract import (
    Chunk,
    Sample,
    Score,
    Scorer,
    ScorerConfigError,
    ValueRange,
)
from evaluators.judging import (
    Embedder,
    Embeddings,
    Judge,
    JudgeReply,
    JudgeScorer,
    JudgeTemplateError,
    JudgeUnavailableError,
    Models,
    TokenLogprob,
)
from evaluators.registry import Description, RegistryError, build, describe, get, names, schema, schemas

__all__ = [
    "Chunk",
    "Description",
    "Embedder",
    "Embeddings",
    "Judge",
    "JudgeReply",
    "JudgeScorer",
    "JudgeTemplateError",
    "JudgeUnavailableError",
    "Models",
    "RegistryError",
    "Sample",
    "Score",
    "Scorer",
    "ScorerConfigError",
    "TokenLogprob",
    "ValueRange",
    "build",
    "describe",
    "get",
    "names",
    "schema",
    "schemas",
    "score_all",
]

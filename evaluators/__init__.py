"""Scorers for the answers of language models: a pure library, without web, database or model client.

`build("exact_match", {"ignore_case": True}).score(Sample(output="Paris", reference="paris"))`
"""

from evaluators.contract import (
    Judge,
    JudgeReply,
    JudgeScorer,
    JudgeTemplateError,
    JudgeUnavailableError,
    Sample,
    Score,
    Scorer,
    ScorerConfigError,
    ValueRange,
)
from evaluators.registry import Description, RegistryError, build, describe, get, names, schema, schemas

__all__ = [
    "Description",
    "Judge",
    "JudgeReply",
    "JudgeScorer",
    "JudgeTemplateError",
    "JudgeUnavailableError",
    "RegistryError",
    "Sample",
    "Score",
    "Scorer",
    "ScorerConfigError",
    "ValueRange",
    "build",
    "describe",
    "get",
    "names",
    "schema",
    "schemas",
]

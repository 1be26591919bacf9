"""Evidence for tests, made from plain arrays."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from app.gates.decision import decide
from app.gates.evidence import Case, Evidence, Look, Metric, Scores, Side
from app.gates.schemas import RuleVerdict, Verdict
from app.registry.kinds.gate_policy import GatePolicy, Stage

NO_REGRESSION = {"metric": "correct", "no_regression": {"margin": 0.05}}
SHARED = {"dataset": "sha256:d", "scorer/correct": "sha256:s"}


def policy(*rules: Mapping[str, Any], **fields: Any) -> GatePolicy:
    return msgspec.convert({"rules": list(rules or (NO_REGRESSION,)), **fields}, GatePolicy)


def grid(values: ArrayLike) -> np.ndarray:
    """[cases] or [cases, repeats] as [cases, repeats]."""
    array = np.asarray(values, dtype=float)
    return array[:, None] if array.ndim == 1 else array


def cases(n: int, **columns: list[Any]) -> tuple[Case, ...]:
    """`cluster=` and `tags=` fill those; any other column is metadata."""
    fields = {name: column for name, column in columns.items() if name not in ("cluster", "tags")}
    return tuple(
        Case(
            id=f"case-{i}",
            cluster=columns["cluster"][i] if "cluster" in columns else None,
            tags=columns["tags"][i] if "tags" in columns else (),
            fields={name: column[i] for name, column in fields.items()},
        )
        for i in range(n)
    )


def scored(values: ArrayLike, *, passed: bool = False, skipped: ArrayLike | None = None) -> Scores:
    array = grid(values)
    return Scores(
        array,
        passed=np.where(np.isfinite(array), (array >= 1).astype(float), np.nan) if passed else None,
        skipped=None if skipped is None else grid(skipped).astype(bool),
    )


def side(name: str, scores: Mapping[tuple[str, str], Scores] | Scores, **fields: Any) -> Side:
    table = {("correct", "gpt"): scores} if isinstance(scores, Scores) else scores
    cells = max(found.values.size for found in table.values())
    known: dict[str, Any] = {
        "run": f"run_{name}",
        "pins": {"bundle": f"sha256:{name}", **SHARED},
        "scores": table,
        "planned": cells,
        "finished": cells,
        "age_s": 60.0,
    }
    return Side(**(known | fields))


def evidence(
    candidate: ArrayLike | Side,
    baseline: ArrayLike | Side | None = None,
    *,
    metrics: tuple[Metric, ...] = (Metric("correct"),),
    items: tuple[Case, ...] | None = None,
    **fields: Any,
) -> Evidence:
    """One metric `correct` at one endpoint `gpt`, unless sides are given whole."""
    c = candidate if isinstance(candidate, Side) else side("c", scored(candidate, passed=True))
    b = baseline if baseline is None or isinstance(baseline, Side) else side("b", scored(baseline, passed=True))
    n = next(iter(c.scores.values())).values.shape[0]
    known: dict[str, Any] = {
        "cases": items or cases(n),
        "endpoints": tuple(sorted({endpoint for _, endpoint in c.scores})),
        "metrics": {metric.name: metric for metric in metrics},
        "candidate": c,
        "baseline": b,
        "pins": {"candidate": "sha256:c", **({} if b is None else {"baseline": "sha256:b"}), "dataset": "sha256:d"},
    }
    return Evidence(**(known | fields))


def judged(rule: Mapping[str, Any], given: Evidence, stage: Stage = "promote", **fields: Any) -> RuleVerdict:
    """What a policy of one rule says about it."""
    return decide(policy(rule, **fields), given, stage).rules[0]


def verdict(given: Evidence, *rules: Mapping[str, Any], stage: Stage = "promote", **fields: Any) -> Verdict:
    return decide(policy(*rules, **fields), given, stage)


def pass_fail(n: int, share: float) -> np.ndarray:
    """`n` pass/fail scores of which exactly that share passes."""
    return np.array([1.0] * round(n * share) + [0.0] * (n - round(n * share)))


def look(number: int, *fractions: float, passed: frozenset[str] = frozenset()) -> Look:
    return Look(number, fractions, passed)

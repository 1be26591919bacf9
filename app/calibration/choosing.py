"""What of a run can be labelled, and how much there is to disagree about."""

from app.calibration.schemas import QueueCreate
from app.kit.errors import InvalidContentError
from app.runs.schemas import Result
from app.runs.store import Loaded


def metric_of(run: Loaded, rubric: str, asked: QueueCreate) -> str | None:
    """The run's metric by this rubric, whose verdicts go with the answers."""
    known = {metric.name for metric in run.spec.metrics}
    for field in ("metric", "against"):
        if (name := getattr(asked, field)) is not None and name not in known:
            raise InvalidContentError.at(
                f"/{field}", f"the run has no metric {name!r}; it has {', '.join(sorted(known))}"
            )
    if asked.metric is not None:
        return asked.metric
    own = [
        metric.name
        for metric in run.spec.metrics
        if metric.derived is None and str(metric.args.get("rubric", "")).partition("@")[0] == rubric
    ]
    if not own and asked.by == "disagreement":
        raise InvalidContentError.at(
            "/by", f"the run has no metric by {rubric}; name one in `metric`, or draw at random"
        )
    return own[0] if own else None


def can_be_labelled(result: Result, asked: QueueCreate) -> bool:
    """Whether there is something to label."""
    within = asked.variant is None or result.variant == asked.variant or result.variant.startswith(f"{asked.variant}:")
    return within and result.answer is not None and bool(result.answer.text)


def disagreement(result: Result, judge: str | None, asked: QueueCreate) -> float:
    """0 to 1: how divided the judge's votes are, and how far its value is from the other metric's, whichever is more.

    A judge without a verdict could not make up its mind.
    """
    score = None if judge is None else result.scores.get(judge)
    if score is None:
        return 0.0
    if score.value is None:
        return 1.0 if score.status == "unscored" else 0.0
    agreement = (score.evidence or {}).get("agreement") if isinstance(score.evidence, dict) else None
    divided = 1 - agreement if isinstance(agreement, int | float) and 0 <= agreement <= 1 else 0.0
    other = None if asked.against is None else result.scores.get(asked.against)
    apart = 0.0 if other is None or other.value is None else min(1.0, abs(score.value - other.value))
    return float(max(divided, apart))


def judged(label: str | None, value: float | None) -> str | None:
    return None if value is None else label

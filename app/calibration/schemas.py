"""Calibrations on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from app.kit.texts import STORABLE
from evaluators.metrics.agreement import Level
from evaluators.metrics.estimate import Estimate
from evaluators.metrics.kappa import Weighting

Split = Literal["train", "dev", "test"]
Said = str | bool | int | float
"""A verdict as people write it: a label, true or false, or a number (a label's score, or a place on the scale)."""

MAX_LABELS = 20_000
MAX_JUDGED = 5_000

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=400, pattern=STORABLE)]


class HumanLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person said of one answer, and what the judge said where that is known.

    The answer is called `id`, else `case` and `variant`, else by the digest of its inputs and output. `output` (with what
    else the rubric's template reads) is what the judge is asked about when no label of the request has a `judge`.
    `weight` is one over the probability with which the answer was chosen; answers of one `cluster` are not independent.
    """

    human: Said
    judge: Said | None = None
    id: Name | None = None
    case: Name | None = None
    variant: Name | None = None
    output: str | None = None
    inputs: dict[str, Any] = {}
    reference: Any = None
    context: str | None = None
    history: list[dict[str, Any]] = []
    metadata: dict[str, Any] = {}
    cluster: Name | None = None
    split: Split | None = None
    weight: Annotated[float, msgspec.Meta(gt=0, le=1e9)] = 1.0


class FromFeedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Labels from what people said of served answers of `prompt`: the newest rating per rater of `signal`.

    Several raters of one answer count by their mean. `values` says which label a value stands for; without it, a rating
    is read as a number. A correction is no rating: with `corrected`, an answer that somebody corrected has that label.
    """

    prompt: Name
    signal: Name = "thumbs"
    values: dict[str, Said] = {}
    corrected: Said | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_JUDGED)] = 1_000


class FromDataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Labels from the items of a dataset: `human` names the metadata field with what people said, `judge` the one with
    what a judge said; `output` the one with the answer, unless `model` names one of the recorded answers."""

    dataset: Name
    human: Name
    output: Name | None = None
    model: Name | None = None
    judge: Name | None = None


class CalibrationCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Labels come from `labels`, `feedback`, `dataset`, or the label queue `queue`: exactly one of them.

    When one label has a `judge`, all verdicts are recorded ones, and a label without one was not judged. Otherwise the
    rubric's judge is asked now. `ref` is the version of the rubric (by default the latest). `split` limits the figures to
    that part; the parts are 15 % train, 45 % dev and 40 % test, drawn by `seed` within each label, clusters whole. From
    `threshold` on a label's score is positive.
    """

    labels: Annotated[list[HumanLabel], msgspec.Meta(max_length=MAX_LABELS)] | None = None
    feedback: FromFeedback | None = None
    dataset: FromDataset | None = None
    queue: Name | None = None
    ref: Name | None = None
    split: Split | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0
    threshold: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    budget_usd: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None


class Table(msgspec.Struct, frozen=True):
    """`counts[i][j]` answers have the human label `labels[i]` and the judge's label `labels[j]`."""

    labels: list[str]
    counts: list[list[int]]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How judge and people agree over `n` answers that both labelled; `unjudged` more have no verdict, and are in none of
    the figures.

    Intervals are two-sided at 0.95. `tpr` and `tnr` are the shares of what people call positive, and negative, that the
    judge calls so too. Kappa is weighted by the labels' scores where they are ordered (`weighting`), alpha of that
    `level`. `human_rate` and `judge_rate` are shares of positive answers; `corrected_rate` is the judge's without its
    known errors (Rogan and Gladen). With weights all but the table are estimates for what the answers
    were drawn from.
    """

    n: int
    unjudged: int
    accuracy: Estimate
    tpr: Estimate
    tnr: Estimate
    kappa: Estimate
    weighting: Weighting
    alpha: Estimate
    level: Level
    pearson: Estimate
    spearman: Estimate
    kendall: Estimate
    confusion: Table
    human_rate: float | None
    judge_rate: float | None
    corrected_rate: float | None


class Leak(msgspec.Struct, frozen=True):
    """The rubric's example with that number is the answer `id`, which the figures of its `split` count."""

    example: int
    id: str
    split: Split


class Drift(msgspec.Struct, frozen=True):
    """Beside the calibration before: what `changed` (rubric, judge; nothing: the judge's own unrest), and kappa `before`
    and `now` on the `common` answers, with the interval of its difference."""

    calibration: str
    changed: list[Literal["rubric", "judge"]]
    common: int
    before: float | None
    now: float | None
    difference: Estimate


class Disagreement(msgspec.Struct, frozen=True):
    id: str
    human: str
    judge: str


class CalibrationRead(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration. `verdicts` says whether the judge was asked or its verdicts were given; `splits` counts the answers
    of each part, `figures` are those of `split`, or of all. `problems` counts why answers have no verdict.
    `examples_checked` are the rubric's examples that could be looked for among the answers."""

    id: str
    rubric: str
    ref: str
    rubric_digest: str
    judge: str
    judge_digest: str
    verdicts: Literal["asked", "recorded"]
    split: Split | None
    seed: int
    threshold: float
    splits: dict[str, int]
    figures: Figures
    leaks: list[Leak]
    examples_checked: int
    drift: Drift | None
    problems: dict[str, int]
    disagreements: list[Disagreement]
    cost_usd: float
    created_by: str
    created_at: datetime


class CalibrationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration in a list."""

    id: str
    ref: str
    judge: str
    verdicts: Literal["asked", "recorded"]
    split: Split | None
    n: int
    accuracy: float | None
    kappa: float | None
    created_by: str
    created_at: datetime


class QueueCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Draw `n` answers of a run (or of its `variant`, or candidate) for people to label.

    `random`: each is as likely as the other. `disagreement`: the more likely the more the judge's votes are divided, or
    the farther its value is from that of the metric `against`; no answer is impossible. `metric` is whose verdicts are
    taken as the judge's, by default the run's metric by this rubric.
    """

    run: Name
    n: Annotated[int, msgspec.Meta(ge=1, le=MAX_JUDGED)] = 50
    by: Literal["random", "disagreement"] = "random"
    metric: Name | None = None
    against: Name | None = None
    variant: Name | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0


class LabelQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue of `n` answers, drawn out of `of`; `labelled` of them have a label."""

    id: str
    rubric: str
    run: str
    by: Literal["random", "disagreement"]
    seed: int
    metric: str | None
    of: int
    n: int
    labelled: int
    created_by: str
    created_at: datetime


class LabelItem(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of a queue. `probability` is that with which it was drawn; `judge` is shown once `human` is there."""

    item: str
    case: str
    variant: str
    repeat: int
    probability: float
    inputs: dict[str, Any]
    reference: Any
    output: str | None
    context: str | None
    human: str | None
    judge: str | None
    labelled_by: str | None
    labelled_at: datetime | None


class LabelPut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verdict of the rubric; null takes the label back."""

    human: Said | None

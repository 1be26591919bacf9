"""Several models judge the answer by one rubric."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from evaluators.contract import Sample, Score
from evaluators.judge import verdicts
from evaluators.judge.asking import together
from evaluators.judge.rubric import Rubric
from evaluators.judging import Models


class Jury(Rubric, frozen=True):
    """The verdict of several judges on the answer, by a rubric's instructions.

    Every judge votes as `rubric` does. `combine`: `majority` (default) takes the score of the most frequent label, and the
    mean of the tied labels' scores, without a label, when there is no single one; `mean` and `median` are those of the
    jurors' values. `agreement` in the evidence is the share of the jurors that gave the most frequent label. A juror that
    fails is named in the evidence; with fewer than `min_jurors` verdicts (default: all) there is no value: error when one
    could not be reached, else unscored. Fewer than two judges: error. Range [0, 1], higher is better. A run
    shows Krippendorff's alpha over all its items.
    Source: Verga et al. 2024, Replacing Judges with Juries (arXiv 2404.18796).
    """

    name = "jury"
    asks_all = True

    combine: Literal["majority", "mean", "median"] = "majority"
    min_jurors: Annotated[int, msgspec.Meta(ge=1)] | None = None

    @classmethod
    def agreement(cls, scores: Sequence[Score]) -> dict[str, float]:
        """Krippendorff's alpha of the jurors' values, which lie on an interval scale."""
        from evaluators.metrics.agreement import krippendorff_alpha
        from evaluators.metrics.resampling import Sampling

        alpha = krippendorff_alpha(ratings(scores)[1], level="interval", sampling=Sampling(resamples=0)).value
        return {} if alpha is None else {"krippendorff_alpha": alpha}

    async def judge(self, sample: Sample, models: Models, sample_index: int) -> Score:
        jurors = models.judges
        if len(jurors) < 2:
            return Score.error(f"a jury needs at least two judges and was given {len(jurors)}")
        ballots = await together([self.ballot(sample, juror, sample_index) for juror in jurors])
        names = _distinct([juror.name for juror in jurors])
        heard = {name: verdicts.combine(ballot, _plain) for name, ballot in zip(names, ballots, strict=True)}
        given = {name: score for name, score in heard.items() if score.value is not None}
        evidence: dict[str, Any] = {"jurors": {name: _shown(score) for name, score in heard.items()}}
        wanted = len(jurors) if self.min_jurors is None else self.min_jurors
        if len(given) < wanted:
            failed = {name: score for name, score in heard.items() if score.value is None}
            why = "; ".join(f"{name}: {score.explanation}" for name, score in failed.items()) or "no others were asked"
            reason = f"{len(given)} of {len(jurors)} jurors gave a verdict, {wanted} are needed ({why})"
            unreached = any(score.status == "error" for score in failed.values())
            return Score.error(reason, evidence=evidence) if unreached else Score.unscored(reason, evidence=evidence)
        labels = Counter(_label(score) for score in given.values())
        most = max(labels.values())
        tied = [label for label, count in labels.items() if count == most]
        evidence |= {"agreement": most / len(given), "combine": self.combine}
        reason = next(score.explanation for score in given.values() if _label(score) == tied[0])
        return self.scored(
            self._combined(list(given.values()), tied),
            f"{most} of {len(given)} jurors say {' and as many '.join(tied)}: {reason}",
            label=None if len(tied) > 1 else tied[0],
            evidence=evidence,
        )

    def _combined(self, given: Sequence[Score], tied: Sequence[str]) -> float:
        """One value of all verdicts; `tied` are the most frequent labels."""
        import statistics

        values = [score.value for score in given if score.value is not None]
        if self.combine == "median":
            return float(statistics.median(values))
        if self.combine == "mean":
            return statistics.fmean(values)
        table = self.labels or {}
        by_label = {_label(score): value for score, value in zip(given, values, strict=True)}
        return statistics.fmean(table.get(label, by_label[label]) for label in tied)


def ratings(scores: Sequence[Score]) -> tuple[list[str], list[list[float | None]]]:
    """Jurors, and a row for each with its value for every score in order, None where it gave none.

    This is the matrix of which Krippendorff's alpha is made. Scores that are not a jury's give a column of None.
    """
    columns: list[dict[str, Any]] = [(score.evidence or {}).get("jurors", {}) for score in scores]
    names = list(dict.fromkeys(name for column in columns for name in column))
    return names, [[column.get(name, {}).get("value") for column in columns] for name in names]


def _plain(value: float, reason: str, label: str | None, evidence: dict[str, Any]) -> Score:
    return Score.ok(value, reason, label=label, evidence=evidence)


def _label(score: Score) -> str:
    return score.label or f"{score.value:g}"


def _shown(score: Score) -> dict[str, Any]:
    """A juror's verdict, or why it gave none."""
    if score.value is None:
        return {"status": score.status, "value": None, "problem": score.explanation}
    return {"status": "ok", "value": score.value, "label": score.label, "reason": score.explanation}


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where one occurs again: the same model may sit twice, with other parameters."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return distinct

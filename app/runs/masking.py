"""Results for eyes that may not see all of what they are about: a dataset's sensitive values, and answers that may repeat them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from app.datasets.schemas import Item
from app.datasets.sensitivity import above, highest, mask_of, masked
from app.kit.errors import ForbiddenError
from app.registry.kinds.dataset import LEVELS, Dataset, Level
from app.registry.service import Registry
from app.runs.schemas import CaseCell, CaseRead, Result, ScoreRead
from app.runs.store import Loaded

EVIDENCE = ("chunks", "prompt", "trajectory", "logprobs")
"""What holds a case's or a corpus's values, or the answer's own words."""


class Masking:
    """What a clearance leaves of one run's results. `level` is that of the most sensitive value that an answer may hold: of its
    case, or of a corpus that was read for it."""

    def __init__(self, dataset: Dataset, level: Level, clearance: str) -> None:
        self._dataset, self._level, self._clearance = dataset, level, clearance

    @classmethod
    async def of(cls, session: AsyncSession, run: Loaded, clearance: str) -> "Masking":
        dataset = await Registry(session, run.row.project_id).by_digest("dataset", run.spec.dataset_digest)
        return cls(dataset.content, await level_of(session, run), clearance)

    @property
    def needed(self) -> bool:
        return above(self._level, self._clearance)

    def allow_search(self) -> None:
        """Whether a text occurs in an answer would tell what is masked."""
        if self.needed:
            raise ForbiddenError(
                f"answers of this run may hold {self._level} values, and this key's clearance is {self._clearance}: "
                "they cannot be searched"
            )

    def allow_slices(self) -> None:
        """What cases are grouped by would tell what is masked."""
        if self.needed:
            raise ForbiddenError(
                f"cases of this run may hold {self._level} values, and this key's clearance is {self._clearance}: "
                "they cannot be chosen by their metadata"
            )

    def of_all(self, results: Sequence[Result]) -> list[Result]:
        return [self._one(result) for result in results] if self.needed else list(results)

    def beside(self, case: CaseRead) -> CaseRead:
        """The same of the cells of one case. What differs between masked answers is left out."""
        if not self.needed:
            return case
        cells = [
            Result(c.variant, case.case, c.repeat, c.status, c.answer, c.error, c.scores, case.inputs, case.reference, case.tags, c.error_kind)
            for c in case.cells
        ]  # fmt: skip
        read = self.of_all(cells)
        shown = [CaseCell(r.variant, r.repeat, r.status, r.answer, r.error, r.scores, r.error_kind) for r in read]
        differs = [name for name in case.differs if name != "answer"]
        return CaseRead(case.case, read[0].inputs, read[0].reference, case.tags, shown, differs)

    def _one(self, result: Result) -> Result:
        case = masked(
            Item(result.case, "", result.inputs, result.reference, tags=result.tags), self._dataset, self._clearance
        )
        mask = mask_of(self._level)
        answer = result.answer
        if answer is not None:
            hidden: dict[str, Any] = {"text": None if answer.text is None else mask, "parsed": None, "tool_calls": None}
            hidden |= {name: None for name in EVIDENCE if getattr(answer, name) is not UNSET}
            answer = msgspec.structs.replace(answer, **hidden, context=None if answer.context is None else mask)
        return msgspec.structs.replace(
            result,
            inputs=case.inputs,
            reference=case.reference,
            answer=answer,
            error=None if result.error is None else mask,
            scores={name: _score(score, mask) for name, score in result.scores.items()},
        )


async def level_of(session: AsyncSession, run: Loaded) -> Level:
    """The level of the most sensitive value that an answer of a run, or an error that quotes a request, may hold."""
    registry = Registry(session, run.row.project_id)
    levels = [highest((await registry.by_digest("dataset", run.spec.dataset_digest)).content)]
    for digest in {v.rag_digest for v in run.spec.variants if v.rag_digest is not None}:
        rag = await registry.by_digest("rag_config", digest)
        levels.append(highest((await registry.by_digest("dataset", rag.pins["/corpus"])).content))
    return max(levels, key=LEVELS.index)


def _score(score: ScoreRead, mask: str) -> ScoreRead:
    label = None if score.label is None else mask  # a judge's or a scorer's own words, which may be the answer's
    return msgspec.structs.replace(score, label=label, explanation=mask if score.explanation else "", evidence=None)

"""BLEU, chrF and TER of a whole corpus, which are no means of the sentences' values."""

from collections.abc import Sequence
from typing import NamedTuple

from evaluators.reference.bleu import check_bleu
from evaluators.reference.chrf import check_chrf
from evaluators.reference.sacre import Smooth, Tokenize, bleu_metric, ter_metric
from evaluators.reference.ter import check_ter


class CorpusScore(NamedTuple):
    """A corpus's value and sacrebleu's signature, which names all that decides it."""

    value: float
    signature: str


def corpus_bleu(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: Tokenize = "13a",
    lowercase: bool = False,
    smooth_method: Smooth = "exp",
    smooth_value: float | None = None,
    max_ngram_order: int = 4,
    effective_order: bool = False,
    force: bool = False,
) -> CorpusScore:
    """BLEU in [0, 1], higher is better; `references` holds streams, each as long as `hypotheses`.

    `force` keeps sacrebleu from warning of texts that look tokenized. Raises ValueError for streams of other lengths or
    none, ScorerConfigError for arguments that contradict each other. Source: sacrebleu 2.6.0, `corpus_score` / 100.
    """
    check_bleu(smooth_method, smooth_value, max_ngram_order)
    _check_streams(hypotheses, references)
    metric = bleu_metric(
        tokenize=tokenize,
        lowercase=lowercase,
        smooth_method=smooth_method,
        smooth_value=smooth_value,
        max_ngram_order=max_ngram_order,
        effective_order=effective_order,
        force=force,
    )
    score = metric.corpus_score(hypotheses, references)
    return CorpusScore(score.score / 100, str(metric.get_signature()))


def corpus_chrf(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    char_order: int = 6,
    word_order: int = 0,
    beta: int = 2,
    lowercase: bool = False,
    whitespace: bool = False,
    eps_smoothing: bool = False,
) -> CorpusScore:
    """chrF in [0, 1], higher is better. Raises as `corpus_bleu`. Source: sacrebleu 2.6.0, `corpus_score` / 100."""
    from sacrebleu.metrics.chrf import CHRF

    check_chrf(char_order, word_order, beta)
    _check_streams(hypotheses, references)
    metric = CHRF(char_order, word_order, beta, lowercase, whitespace, eps_smoothing)
    return CorpusScore(metric.corpus_score(hypotheses, references).score / 100, str(metric.get_signature()))


def corpus_ter(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    normalized: bool = False,
    no_punct: bool = False,
    asian_support: bool = False,
    case_sensitive: bool = False,
) -> CorpusScore:
    """TER, 0 or more, lower is better. Raises as `corpus_bleu`. Source: sacrebleu 2.6.0, `corpus_score` / 100."""
    check_ter(asian_support=asian_support, normalized=normalized, no_punct=no_punct)
    _check_streams(hypotheses, references)
    metric = ter_metric(
        normalized=normalized, no_punct=no_punct, asian_support=asian_support, case_sensitive=case_sensitive
    )
    return CorpusScore(metric.corpus_score(hypotheses, references).score / 100, str(metric.get_signature()))


def _check_streams(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not hypotheses:
        raise ValueError("there is no hypothesis to score")
    if not references:
        raise ValueError("give at least one stream of references")
    for number, stream in enumerate(references, start=1):
        if len(stream) != len(hypotheses):
            raise ValueError(f"stream {number} has {len(stream)} references for {len(hypotheses)} hypotheses")

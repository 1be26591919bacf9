"""sacrebleu's metrics without its unbounded memory, and the shared form of the scorers that are sacrebleu's."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from evaluators.contract import Sample, Score, Scorer
from evaluators.reference.pairs import COMPARED
from evaluators.text import texts

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

Tokenize = Literal["13a", "none", "intl", "char", "zh"]
Smooth = Literal["exp", "floor", "add-k", "none"]


class SacreScorer(Scorer, frozen=True):
    """A sentence-level metric of sacrebleu, which takes all references of a sample at once."""

    needs = frozenset({"reference"})

    def evaluate(self, output: str, references: Sequence[str]) -> float:
        """The metric between 0 and 1 (or above, where it has no bound). Written by each scorer."""
        raise NotImplementedError

    def too_long(self, output: str, references: Sequence[str]) -> str | None:
        """How long the texts are where the metric would take more than seconds."""
        raise NotImplementedError

    def lacking(self, sample: Sample) -> str | None:
        if isinstance(sample.reference, str):
            return None
        reason = super().lacking(sample)
        if reason is None and not texts(sample.references):
            return f"{self.name} compares text, and the reference is an object"
        return reason

    def measure(self, sample: Sample) -> Score:
        return self.measure_batch([sample])[0]

    def measure_batch(self, samples: Sequence[Sample]) -> list[Score]:
        return [self.judged(sample, self.evaluate) for sample in samples]

    @staticmethod
    def references(sample: Sample) -> list[str]:
        """The texts that the output is compared with, all at once."""
        return [sample.reference] if isinstance(sample.reference, str) else texts(sample.references)

    def judged(self, sample: Sample, evaluate: Callable[[str, Sequence[str]], float]) -> Score:
        """The score of one sample by `evaluate`, which has the signature of the method of that name."""
        references = self.references(sample)
        refused = self.refused(sample.output, references)
        return refused or self.valued(evaluate(sample.output, references), len(references))

    def refused(self, output: str, references: Sequence[str]) -> Score | None:
        """The error that too long texts get."""
        sizes = self.too_long(output, references)
        return None if sizes is None else Score.error(f"{self.name} would take too long on texts of {sizes}")

    def valued(self, value: float, references: int) -> Score:
        if self._range.high is not None:
            value = min(value, self._range.high)  # a sum of logarithms may end a rounding above 1
        explanation = f"compared with {references} references at once" if references > 1 else COMPARED
        return self.scored(value, explanation)


def bleu_metric(**arguments: Any) -> "BLEU":
    """sacrebleu's BLEU; its tokenizers remember nothing.

    As they come they keep the last 65,536 texts of any size, twice, for as long as the process lives.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(**arguments)
    tokenizer: Any = metric.tokenizer
    if hasattr(tokenizer, "_post_tokenizer"):
        tokenizer._post_tokenizer = _forgetful(tokenizer._post_tokenizer)  # noqa: SLF001 - the only way to it
    metric.tokenizer = _forgetful(tokenizer)
    return metric


def ter_metric(**arguments: Any) -> Any:
    """sacrebleu's TER; its tokenizer remembers nothing."""
    from sacrebleu.metrics.ter import TER

    metric = TER(**arguments)
    metric.tokenizer = _forgetful(metric.tokenizer)
    return metric


def _forgetful(tokenizer: Any) -> Any:
    """The tokenizer's own function below its cache."""
    call = type(tokenizer).__call__
    return functools.partial(getattr(call, "__wrapped__", call), tokenizer)


class Words(dict[str, str]):
    """13a's tokens of a word, with spaces between them, found once. Made for one batch, so that memory goes with it.

    13a looks at neighbouring characters only and a space is like any other character that is no digit, so the tokens of a
    text are those of its words.
    """

    def __missing__(self, word: str) -> str:
        if word.isalnum():
            tokens = word
        elif word[-1] in ".,:;!?)" and word[:-1].isalnum():
            tokens = f"{word[:-1]} {word[-1]}"  # what the expressions make of it, at a tenth of their time
        else:
            tokens = _regexp_tokenizer()(f" {word} ")
        self[word] = tokens
        return tokens

    def tokens(self, line: str) -> list[str]:
        """The tokens of a text, as sacrebleu's `Tokenizer13a` gives them after `rstrip`."""
        line = line.rstrip().replace("<skipped>", "").replace("-\n", "")
        if "&" in line:
            line = line.replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
        return " ".join(map(self.__getitem__, line.split())).split()


@functools.cache
def _regexp_tokenizer() -> Any:
    from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp

    tokenizer: Any = TokenizerRegexp
    return _forgetful(tokenizer())

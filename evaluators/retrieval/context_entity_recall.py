"""Whether the context names what the reference names."""

import re
import unicodedata

from evaluators.contract import Sample, Score, Scorer
from evaluators.lookup import check_path, need_of, value_at
from evaluators.retrieval.support import FUNCTION_WORDS, Against, sentences, sources_of
from evaluators.text import texts

_TOKEN = re.compile(r"\d[\d.,:/\-]*\d%?|\d%?|[^\W\d_]+(?:['’\-][^\W\d_]+)*|[^\w\s]|_")
_WORD = re.compile(r"\w+")
_THOUSANDS = re.compile(r"(?<=\d)[,\u202f'’](?=\d{3}(?!\d))")
_JOINING = frozenset(
    [
        "of",
        "the",
        "de",
        "la",
        "le",
        "van",
        "von",
        "der",
        "den",
        "di",
        "da",
        "del",
        "du",
        "and",
        "&",
        "for",
        "bin",
        "ibn",
        "al",
    ]
)
_MOST = 200
_LONGEST = 100_000


class ContextEntityRecall(Scorer, frozen=True):
    """Share of the reference's entities that the context names.

    |entities of the reference that stand in the context| / |entities of the reference|, each counted once. Entities are the
    texts at the path `entities`; without it they are read from the reference text: runs of capitalised words (joined by
    "of", "de", "van" and the like), and numbers with what stands in them (dates, 1,000, 45%). A single word that begins a
    sentence counts unless it is a function word or also occurs in lower case. An entity stands in the context when its
    words do, one after another, whatever their case and punctuation; thousands separators do not matter. Scripts without
    capitals need `entities`. Several references: the best counts. No entity: skipped; a context without text: 0. At most
    200 entities are looked at. Range [0, 1], higher is better.
    Source: Ragas `ContextEntityRecall` (arXiv 2309.15217) with these rules in place of its language model.
    """

    name = "context_entity_recall"
    needs = frozenset({"context", "chunks", "reference", "metadata", "inputs"})
    example = {"against": "chunks"}

    entities: str | None = None
    against: Against = "context"

    def check(self) -> None:
        super().check()
        if self.entities is not None:
            check_path(self.entities, "entities")

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.against, "reference" if self.entities is None else need_of(self.entities)})

    def measure(self, sample: Sample) -> Score:
        source = "\n".join(sources_of(sample, self.against))
        if self.entities is None:
            if any(len(text) > _LONGEST for text in texts(sample.references)):
                return Score.error(f"{self.name} reads references of at most {_LONGEST:,} characters")
            lists = [entities_of(text, source) for text in texts(sample.references)]
        else:
            given = value_at(sample, self.entities)
            if given is None:
                return Score.skipped(f"{self.name}: the sample has no entities at {self.entities}")
            if not isinstance(given, list) or not all(isinstance(each, str | int | float) for each in given):
                return Score.error(f"{self.name}: {self.entities} is not a list of texts")
            lists = [list(dict.fromkeys(map(str, given)))]
        haystack = f" {_plain(source)} "
        best: tuple[float, int, list[str]] | None = None
        for found in lists:
            known = [each for each in found if _plain(each)][:_MOST]
            missing = [each for each in known if f" {_plain(each)} " not in haystack]
            if known and (best is None or 1 - len(missing) / len(known) > best[0]):
                best = (1 - len(missing) / len(known), len(known), missing)
        if best is None:
            return Score.skipped(f"{self.name}: the reference names no entity")
        value, total, missing = best
        explanation = f"{total - len(missing)} of {total} entities of the reference stand in the {self.against}"
        return self.scored(
            value, explanation, evidence={"missing": [each[:100] for each in missing[:20]]} if missing else None
        )


def entities_of(text: str, source: str) -> list[str]:
    """The entities of a text, each once; `source` helps to tell a name from a word that begins a sentence."""
    lower = frozenset(_WORD.findall(f"{text} {source}"))
    found = dict[str, None]()
    for sentence in sentences(text):
        for run in _runs(_TOKEN.findall(sentence)):
            names = run[1:] if run[0].lower() in FUNCTION_WORDS else run
            begins = len(names) == 1 and sentence.startswith(names[0]) and not names[0][0].isdigit()
            if names and not (begins and names[0].lower() in lower):
                found[" ".join(names)] = None
    return list(found)


def _runs(tokens: list[str]) -> list[list[str]]:
    """Capitalised words and numbers that stand together, with the small words that join capitalised ones."""
    runs, run, joining = list[list[str]](), list[str](), list[str]()
    for token in [*tokens, "."]:
        if token[0].isdigit() or token[0].isupper():
            run += [*joining, token]
            joining = []
        elif run and token in _JOINING and not joining:
            joining = [token]
        else:
            if run:
                runs.append(run)
            run, joining = [], []
    return runs


def _plain(text: str) -> str:
    text = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(_WORD.findall(text))

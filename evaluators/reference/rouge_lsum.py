"""The longest common subsequences of the lines of two summaries."""

from collections import Counter
from collections.abc import Sequence

from evaluators.reference.rouge import Counts, RougeScorer, TooLongError, lcs_length

# Bits that the rows of one table may take, 50 MB.
_TABLE_LIMIT = 4e8
# Pairs of words and pairs of lines that are looked at; each about two seconds.
_WORD_PAIRS = 1e10
_LINE_PAIRS = 1e6

Token = bytes | str


class RougeLsum(RougeScorer, frozen=True):
    """ROUGE-L of texts of several lines: each line of the reference counts the words that it has in sequence with any line.

    For each line of the reference the union of its longest common subsequences with all lines of the output is taken; a
    word counts at most as often as the output has it. With h such words, precision = h / words of the output,
    recall = h / words of the reference, F = 2PR / (P + R): F, precision or recall by `part`. Words are runs of a-z and
    0-9 in the text in lower case. Range [0, 1], higher is better; an output or a reference without words gives 0.
    Several references: the one with the best F counts. `stemmer` compares Porter stems and needs the extra `nlp`.
    Source: rouge_score 0.1.2, `rougeLsum` (lines, not sentences); Lin 2004, section 3.2, aclanthology.org/W04-1013.
    """

    name = "rouge_lsum"

    def counts(self, output: str, reference: str) -> Counts:
        found = [self.tokens(line) for line in output.split("\n") if line]
        expected = [self.tokens(line) for line in reference.split("\n") if line]
        sizes = sum(map(len, found)), sum(map(len, expected))
        if not all(sizes):
            return Counts(0, *sizes)
        if len(found) == len(expected) == 1:
            return Counts(lcs_length(expected[0], found[0]), *sizes)
        longest = max(map(len, found)) * max(map(len, expected))
        lines: set[tuple[Token, ...]] = {tuple(line) for line in found}
        different = list(lines)  # a line that comes again adds nothing to a union
        line_pairs = len(different) * len(expected)
        if longest > _TABLE_LIMIT or sizes[0] * sizes[1] > _WORD_PAIRS or line_pairs > _LINE_PAIRS:
            raise TooLongError(f"{sizes[0]:,} and {sizes[1]:,} words in {len(found):,} and {len(expected):,} lines")
        available = Counter(token for line in found for token in line)
        return Counts(_hits(different, expected, available), *sizes)


def _hits(found: Sequence[Sequence[Token]], expected: Sequence[Sequence[Token]], available: Counter[Token]) -> int:
    """Words of the unions, each at most as often as the output has it, which `available` says."""
    places = [(_places(line), len(line)) for line in found if line]
    visited: Counter[Token] = Counter()
    for line in expected:
        union: set[int] = set()
        for where, length in places:
            union.update(_subsequence(line, where, length))
        visited.update([line[index] for index in union])
    return sum([min(count, available[token]) for token, count in visited.items()])


def _places(line: Sequence[Token]) -> dict[Token, int]:
    """For each word a number whose bits are its positions."""
    places: dict[Token, int] = {}
    bit = 1
    for token in line:
        places[token] = places.get(token, 0) | bit
        bit <<= 1
    return places


def _subsequence(line: Sequence[Token], places: dict[Token, int], length: int) -> list[int]:
    """Positions in `line` of the very subsequence that rouge_score's walk back through the table of lengths finds.

    `rows[k]` is row k of that table as Hyyrö's bit vector (2004): bit j is 0 where the row grows between columns j and
    j + 1. Only words that the other line has make a row: the others repeat the row above, and the walk passes them.

    The walk stands at row i, column j. It takes a match at j. Else, where the row above is smaller at j, it goes left;
    nothing but a match can make this row greater, so it stops at the next match to the left: one step here. Else it goes
    up.
    """
    matching = [(index, places[token]) for index, token in enumerate(line) if token in places]
    full = (1 << length) - 1
    row = full
    rows = [row]
    for _, mask in matching:
        grown = row & mask
        row = ((row + grown) | (row - grown)) & full
        rows.append(row)
    taken = []
    column, left = length, full
    best = length - row.bit_count()
    for level in range(len(matching) - 1, -1, -1):
        if not best:
            break
        index, mask = matching[level]
        here = (mask & left).bit_length()
        if here and (here == column or column - (rows[level] & left).bit_count() < best):
            taken.append(index)
            best -= 1
            column = here - 1
            left = (1 << column) - 1
    return taken

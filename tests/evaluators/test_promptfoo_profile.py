"""The profile `promptfoo` gives the numbers of promptfoo 0.123.1, whose functions were run with js-rouge 3.2.1 for these."""

import pytest

from evaluators import Sample, build

# Output, references, then BLEU and GLEU with all references, rouge-n and the distance with the first.
RECORDED: list[tuple[str, list[str], float, float, float, int]] = [
    (
        "The dog sat on the mat.",
        ["The cat sat on the mat."],
        0.537284965911771,
        0.6111111111111112,
        0.8571428571428571,
        3,
    ),
    ("kitten", ["sitting"], 9.999999999999994e-08, 0, 0, 3),
    ("a:b ", ["a:b e.g.GONNA ..\u00e9e\u0301 ", ""], 1, 0.16666666666666666, 0.5454545454545454, 16),
    (
        "it's isn'tcat \u00e9 gotta.,",
        ["it's isn'tcat \u00e9 gotta.,you?  .  ", "", "isn't \u00df,a--b gonna ,gotta.,"],
        0.012574334296829352,
        0.42857142857142855,
        0.8421052631578948,
        9,
    ),
    (
        "x.) d'ye you? ",
        ["x.) d'ye you? \ufeffisn't \"it's \tit's e.g.cat\"Hi\"satsatmat. a--b \u00df y.',", "e.g. $5,"],
        1,
        0.17647058823529413,
        0.3870967741935484,
        52,
    ),
    (
        "mat. ",
        ["mat. K ... . ", "end.. {k}isn't,", "gotta. a:b <t><t> .more'n,I'll no!,"],
        0.36787944117144233,
        0.1,
        1 / 3,
        8,
    ),
    (
        "cannot gonna  \u0645\u0631\u062d\u0628\u0627 ",
        [
            "cannot gonna  \u0645\u0631\u062d\u0628\u0627 \U0001f600,\u2028 sat isn't \x1c,isn't K,y.': cat <t> it's x.)3.5 ' "
        ],
        0.03567399334725241,
        0.13043478260869565,
        0.2941176470588235,
        52,
    ),
    ("a--b ", ["a--b \u00df "], 0.36787944117144233, 1 / 3, 0.8571428571428571, 2),
    (
        "y.' isn't[z],wanna GONNA,",
        ["y.' isn't[z],wanna GONNA, . lemme "],
        0.513417119032592,
        3 / 7,
        0.896551724137931,
        9,
    ),
    ('"Hi"it\'s3.5 "Hi"sat ', ['"Hi"it\'s3.5 "Hi"sat \ufeff "Hi" '], 0.6065306597126334, 0.5, 0.8421052631578948, 7),
    ("\x85 .. ", ["\x85 .. you? 'tis"], 0.36787944117144233, 0.3, 0.5, 9),
    (
        "\u0130 gonna  \x85 e.g. 'tis,",
        ['\u0130 gonna  \x85 e.g. \'tis,"Hi" 3.5K (x) x.) K.. "Hi"a--b The ;. "Hi" cat\U0001f600'],
        0.11054202892156728,
        0.2,
        0.4,
        48,
    ),
]


@pytest.mark.parametrize(("output", "references", "bleu", "gleu", "rouge", "distance"), RECORDED)
def test_recorded_numbers_come_out(
    output: str, references: list[str], bleu: float, gleu: float, rouge: float, distance: int
) -> None:
    def value(use: str, reference: object, **args: object) -> float | None:
        return build(use, {"profile": "promptfoo", **args}).score(Sample(output=output, reference=reference)).value

    assert value("bleu", references) == pytest.approx(bleu, abs=1e-12)
    assert value("gleu", references) == pytest.approx(gleu, abs=1e-12)
    assert value("rouge_1", references[0]) == pytest.approx(rouge, abs=1e-12)
    assert value("levenshtein", references[0], max_distance=distance) == 1
    assert value("levenshtein", references[0], max_distance=distance - 1) == 0


def test_the_distance_passes_up_to_five_and_negation_turns_it_round() -> None:
    sample = Sample(output="kitten", reference="sitting")
    assert build("levenshtein", {"profile": "promptfoo"}).score(sample).passed is True
    assert build("levenshtein", {"profile": "promptfoo", "max_distance": 2}).score(sample).passed is False
    assert build("levenshtein", {"profile": "promptfoo", "negate": True}).score(sample).passed is False


@pytest.mark.parametrize("use", ["bleu", "gleu", "rouge_1"])
def test_a_blank_output_scores_zero_as_there(use: str) -> None:
    assert build(use, {"profile": "promptfoo"}).score(Sample(output=" \u2028", reference="a")).value == 0


def test_meteor_drops_full_stops_in_this_profile_only() -> None:
    sample = Sample(output="The cat sat.", reference="the cat sat")
    args = {"synonyms": False}
    ours, theirs = (
        build("meteor", args).score(sample).value,
        build("meteor", {**args, "profile": "promptfoo"}).score(sample).value,
    )
    assert ours is not None
    assert theirs == pytest.approx(1 - 0.5 / 27)  # three matches in one chunk
    assert ours < theirs

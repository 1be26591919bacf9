"""Which scorers without a judge tell answers that their passage supports from others: AUC against people's label.

    python -m tests.benchmarks.attribution

BEGIN's Wizard of Wikipedia part, 430 responses of four models (../shared/data/begin_wow_attribution.jsonl): the passage is the
context, and the reference of those that compare with one. Prints a Markdown table, best first. AUC is the chance that an
attributable response scores higher than another one; 0.5 is no better than a coin. What gives all the same value is left out.
"""

import json
import sys
from pathlib import Path

from sklearn.metrics import roc_auc_score

from evaluators import Chunk, Sample, build, describe, names

DATA = Path(__file__).parents[3] / "shared" / "data" / "begin_wow_attribution.jsonl"
FORMS = {
    "lexical_grounding": [{"form": "share"}, {"form": "strict"}],
    "rouge_1": [{"part": "precision"}, {"part": "f"}],
    "rouge_2": [{"part": "precision"}],
    "rouge_l": [{"part": "precision"}, {"part": "f"}],
}
READ = {"reference", "context", "chunks", "inputs"}
SLOW = {"ter", "meteor"}


def main() -> None:
    if not DATA.exists():
        sys.exit(f"{DATA} is not there")
    rows = [json.loads(line) for line in DATA.read_text().splitlines()]
    labels = [row["human_label"] == "Fully attributable" for row in rows]
    samples = [
        Sample(
            output=row["response"],
            reference=row["context"],
            context=row["context"],
            inputs={"question": row["message"]},
            chunks=[Chunk(id="passage", text=row["context"])],
        )
        for row in rows
    ]
    found: list[tuple[float, str, int]] = []
    for name in names():
        about = describe(name)
        if about.kind == "judge" or name in SLOW or not about.needs or not set(about.needs) <= READ:
            continue
        for args in FORMS.get(name, [{}]):
            scorer = build(name, args)
            scores = scorer.score_batch(samples)
            known = [
                (score.value, label) for score, label in zip(scores, labels, strict=True) if score.value is not None
            ]
            values = [value for value, _ in known]
            if len(set(values)) < 2 or len({label for _, label in known}) < 2:
                continue
            sign = 1 if scorer.value_range.direction == "maximize" else -1
            auc = float(roc_auc_score([label for _, label in known], [sign * value for value in values]))
            told = ", ".join(f"{key}: {value}" for key, value in args.items())
            found.append((auc, f"`{name}`{f' ({told})' if told else ''}", len(known)))
    print("| scorer | AUC | responses |\n|---|--:|--:|")
    for auc, name, count in sorted(found, reverse=True):
        print(f"| {name} | {auc:.3f} | {count} |")


if __name__ == "__main__":
    main()

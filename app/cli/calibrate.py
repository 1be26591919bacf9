"""`promptward calibrate`: how far a rubric's judge agrees with people."""

import csv
import io
from pathlib import Path
from typing import Any

import click
import msgspec

from app.cli import labelling
from app.cli.artifacts import split as reference
from app.cli.command import Session, common
from app.cli.exits import Exit, UserError
from app.cli.output import Output

TEXTS = ("id", "case", "variant", "output", "reference", "context", "cluster", "split")
OBJECTS = ("inputs", "metadata", "history")
SHOWN = 20
_MEASURES = ("accuracy", "tpr", "tnr", "kappa", "alpha", "pearson", "spearman", "kendall")


@click.command()
@click.argument("rubric", metavar="RUBRIC")
@click.option(
    "--labels",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Labels as .csv or .jsonl: id or output (and inputs.<name>, reference …), human, and judge where it is known.",
)
@click.option("--column", default="human", show_default=True, help="The column with what people said.")
@click.option("--judge-column", default="judge", show_default=True, help="The column with recorded verdicts.")
@click.option(
    "--dataset", metavar="REF", help="Labels from a dataset's metadata: --column, --judge-column name the fields."
)
@click.option("--output-column", metavar="FIELD", help="With --dataset: the metadata field with the answer.")
@click.option("--model", help="With --dataset: the recorded answers of this model.")
@click.option("--feedback", metavar="PROMPT", help="Labels from ratings of a prompt's served answers.")
@click.option("--signal", default="thumbs", show_default=True, help="With --feedback: which ratings.")
@click.option("--queue", "run", metavar="RUN", help="Draw answers of this run for people to label; goes with --export.")
@click.option("--n", type=int, default=50, show_default=True, help="With --queue: how many.")
@click.option(
    "--by",
    type=click.Choice(["random", "disagreement"]),
    default="random",
    show_default=True,
    help="With --queue: all alike, or rather those on which the judge's votes or two metrics disagree.",
)
@click.option("--against", metavar="METRIC", help="With --by disagreement: the metric that the judge is compared with.")
@click.option(
    "--export",
    "to_label",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --queue: write the answers to this CSV file, to fill in the column `human`.",
)
@click.option(
    "--import",
    "labelled",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep the labels of a file that --export wrote, and calibrate by its queue.",
)
@click.option("--split", type=click.Choice(["train", "dev", "test"]), help="Figures of this part only.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides the parts and the intervals.")
@click.option("--threshold", type=float, help="From this score on a label is positive.  [default: 0.5]")
@click.option("--min-kappa", type=float, help="Exit with 3 when kappa is not shown to be at least this.")
@click.option("--budget", "budget_usd", type=float, metavar="USD", help="At most this for asking the judge.")
@common
async def calibrate(
    session: Session,
    rubric: str,
    file: Path | None,
    column: str,
    judge_column: str,
    dataset: str | None,
    output_column: str | None,
    model: str | None,
    feedback: str | None,
    signal: str,
    run: str | None,
    n: int,
    by: str,
    against: str | None,
    to_label: Path | None,
    labelled: Path | None,
    min_kappa: float | None,
    **options: Any,
) -> int:
    """Measure a rubric's judge against what people say of the same answers. RUBRIC is a name or name@version.

    Verdicts in the file are taken as the judge's; without any, the judge is asked. Exit code 3 says that the lower bound
    of kappa is below --min-kappa.
    """
    if sum(source is not None for source in (file, dataset, feedback, run, labelled)) != 1:
        raise UserError(
            "say where the labels are: --labels FILE, --dataset REF, --feedback PROMPT or --import FILE; "
            "or draw answers to label with --queue RUN"
        )
    name, ref = reference(rubric)
    if run is not None:
        return await _draw(
            session, name, {"run": run, "n": n, "by": by, "against": against, "seed": options["seed"]}, to_label
        )
    asked: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    if "@" in rubric:
        asked["ref"] = ref
    if file is not None:
        asked["labels"] = read(file, column, judge_column)
    elif dataset is not None:
        fields = {"dataset": dataset, "human": column, "judge": None, "output": output_column, "model": model}
        if click.get_current_context().get_parameter_source("judge_column") is not click.core.ParameterSource.DEFAULT:
            fields["judge"] = judge_column
        asked["dataset"] = {key: value for key, value in fields.items() if value is not None}
    elif feedback is not None:
        asked["feedback"] = {"prompt": feedback, "signal": signal}
    async with session.client() as client:
        if labelled is not None:
            asked["queue"], count = await labelling.read(client, name, labelled)
            session.out.note(f"{count} labels were kept")
        made = await client.calibrations.create(name, asked)
    session.out.data(made)
    show(session.out, made)
    kappa = made["figures"]["kappa"]
    if min_kappa is not None and (kappa["low"] is None or kappa["low"] < min_kappa):
        session.out.note(f"kappa is not shown to be at least {min_kappa:g}: its lower bound is {_number(kappa['low'])}")
        return Exit.INCONCLUSIVE
    return Exit.PASS


async def _draw(session: Session, rubric: str, asked: dict[str, Any], file: Path | None) -> int:
    """Draws answers of a run, and writes them to a file when there is one."""
    async with session.client() as client:
        queue = await client.calibrations.draw(
            rubric, {key: value for key, value in asked.items() if value is not None}
        )
        if file is not None:
            await labelling.write(client, rubric, queue["id"], file)
    session.out.data(queue)
    session.out.line(f"{queue['id']}: {queue['n']} of {queue['of']} answers were drawn by {queue['by']}")
    if file is not None:
        session.out.line(f"fill in the column `human` of {file}, then: promptward calibrate {rubric} --import {file}")
    return Exit.PASS


def read(file: Path, column: str, judge_column: str) -> list[dict[str, Any]]:
    """The labels of a CSV or JSONL file. Raises UserError naming the line that cannot be read."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
    if file.suffix.lower() == ".csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    elif file.suffix.lower() in (".jsonl", ".ndjson"):
        rows = [_object(file, number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    else:
        raise UserError(f"{file}: the ending says the format; use .csv or .jsonl")
    if rows and column not in rows[0]:
        raise UserError(f"{file} has no column {column!r}; it has {', '.join(map(str, rows[0]))}")
    return [_label(row, column, judge_column) for row in rows if row.get(column) not in (None, "")]


def _object(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UserError(f"{file}, line {number}: {error}") from error


def _label(row: dict[str, Any], column: str, judge_column: str) -> dict[str, Any]:
    label: dict[str, Any] = {"human": row[column]}
    if row.get(judge_column) not in (None, ""):
        label["judge"] = row[judge_column]
    label |= {name: row[name] for name in TEXTS if row.get(name) not in (None, "")}
    label |= {name: row[name] for name in OBJECTS if isinstance(row.get(name), dict | list)}
    for name, value in row.items():
        if name.startswith("inputs.") and value is not None:
            label.setdefault("inputs", {})[name.removeprefix("inputs.")] = value
    if row.get("weight") not in (None, ""):
        try:
            label["weight"] = float(row["weight"])
        except (TypeError, ValueError) as error:
            raise UserError(f"the weight {row['weight']!r} is no number") from error
    return label


def show(out: Output, made: dict[str, Any]) -> None:
    """A calibration as a table, with what one must know to trust it."""
    figures, splits = made["figures"], made["splits"]
    out.line(f"{made['ref']} judged by {made['judge']} ({made['verdicts']}): {figures['n']} answers, {made['id']}")
    parts = ", ".join(f"{count} {name}" for name, count in splits.items())
    out.line(f"of {parts}; figures are over {made['split'] or 'all'}")
    rows = []
    for name in _MEASURES:
        one = figures[name]
        shown = {"kappa": f"kappa ({figures['weighting']})", "alpha": f"alpha ({figures['level']})"}.get(name, name)
        note = one["reason"] or one["method"]
        rows.append([shown, one["n"], *(_number(one[key]) for key in ("value", "low", "high")), note])
    out.table(["measure", ">n", ">value", ">low", ">high", "by"], rows)
    out.line(
        f"positive: people {_number(figures['human_rate'])}, judge {_number(figures['judge_rate'])}, "
        f"corrected {_number(figures['corrected_rate'])}"
    )
    table = figures["confusion"]
    out.table(
        ["people \\ judge", *(f">{label}" for label in table["labels"])],
        [[label, *counts] for label, counts in zip(table["labels"], table["counts"], strict=True)][:SHOWN],
    )
    for reason, count in made["problems"].items():
        out.line(f"of all answers {count} are left out: {reason}")
    for leak in made["leaks"][:SHOWN]:
        out.line(f"leak: example {leak['example'] + 1} of the rubric is {leak['id']} of the {leak['split']} part")
    if (drift := made["drift"]) is not None and drift["common"]:
        changed = " and ".join(drift["changed"]) or "nothing"
        difference = drift["difference"]
        out.line(
            f"since {drift['calibration']} {changed} changed: kappa {_number(drift['before'])} -> {_number(drift['now'])} "
            f"on {drift['common']} common answers, difference {_number(difference['value'])} "
            f"[{_number(difference['low'])}, {_number(difference['high'])}]"
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"

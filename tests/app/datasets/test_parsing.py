import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.datasets.parsing import MAX_PROBLEMS, Parsed, parse
from app.kit.errors import InvalidContentError, UnsupportedMediaError

JSONL, CSV, PARQUET = "application/x-ndjson", "text/csv", "application/vnd.apache.parquet"


def parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet as pq

    sink = io.BytesIO()
    pq.write_table(pyarrow.Table.from_pylist(rows), sink)
    return sink.getvalue()


def item(parsed: Parsed) -> dict[str, Any]:
    import msgspec

    return {"id": parsed.id, **msgspec.json.decode(parsed.body)}


def refused(data: bytes, media_type: str) -> InvalidContentError:
    with pytest.raises(InvalidContentError) as caught:
        parse(data, media_type)
    return caught.value


def test_a_line_of_json_is_an_item_with_all_its_fields() -> None:
    line = (
        b'{"id": "a", "inputs": {"q": "?"}, "reference": ["x", 1], "history": [{"role": "user", "content": "hi"}], '
        b'"tags": ["t"], "metadata": {"k": 1}, "cluster": 7, "recorded": {"m": {"text": "y", "latency_ms": 12.5}}}'
    )
    (found,) = parse(line, JSONL)
    assert item(found) == {
        "id": "a",
        "inputs": {"q": "?"},
        "reference": ["x", 1],
        "history": [{"role": "user", "content": "hi"}],
        "tags": ["t"],
        "metadata": {"k": 1},
        "cluster": "7",
        "recorded": {"m": {"text": "y", "latency_ms": 12.5}},
    }


def test_an_item_without_id_is_called_by_its_digest_and_a_number_becomes_text() -> None:
    first, second = parse(b'{"inputs": {"q": "a"}}\n{"id": 7, "inputs": {"q": "a"}}\n', JSONL)
    assert first.id == first.digest == second.digest
    assert second.id == "7"


def test_the_digest_does_not_depend_on_key_order_line_endings_defaults_or_id() -> None:
    found = parse(
        b'{"id": "1", "inputs": {"a": "x\\ny", "b": 1}, "tags": []}\r\n'
        b'{"tags": [], "reference": null, "inputs": {"b": 1.0, "a": "x\\r\\ny"}, "id": "2"}\n\n',
        JSONL,
    )
    assert len({f.digest for f in found}) == 1
    assert found[0].digest == "sha256:082da225f5662a851e5d64b1f51347d26a44b593857fcf2d1be131ff93825286"


def test_csv_columns_are_item_fields_or_inputs() -> None:
    text = (
        "\ufeffid,question,reference,tags,cluster,inputs.tone,metadata.source,recorded.gpt\r\n"
        'a,"Why, though?\nReally?",because,x; y,c1,dry,web,an answer\r\n'
        "b,What?,,,,,,\r\n"
    )
    first, second = parse(text.encode(), CSV)
    assert item(first) == {
        "id": "a",
        "inputs": {"question": "Why, though?\nReally?", "tone": "dry"},
        "reference": "because",
        "tags": ["x", "y"],
        "cluster": "c1",
        "metadata": {"source": "web"},
        "recorded": {"gpt": {"text": "an answer"}},
    }
    assert item(second) == {"id": "b", "inputs": {"question": "What?"}}, "an empty cell is left out"


def test_parquet_columns_are_the_same_or_nested() -> None:
    rows = [
        {"id": 1, "question": "a", "reference": "x", "tags": ["t"], "metadata": {"n": 1, "m": None}, "score": 0.5},
        {"id": 2, "question": "b", "reference": None, "tags": None, "metadata": {"n": None, "m": "y"}, "score": None},
    ]
    first, second = parse(parquet(rows), PARQUET)
    assert item(first) == {
        "id": "1",
        "inputs": {"question": "a", "score": 0.5},
        "reference": "x",
        "tags": ["t"],
        "metadata": {"n": 1},
    }
    assert item(second) == {"id": "2", "inputs": {"question": "b"}, "metadata": {"m": "y"}}


def test_parquet_values_that_json_has_not_become_text_or_are_refused_with_their_place() -> None:
    from datetime import UTC, datetime

    (found,) = parse(parquet([{"when": datetime(2026, 1, 2, tzinfo=UTC)}]), PARQUET)
    assert item(found)["inputs"] == {"when": "2026-01-02T00:00:00+00:00"}
    error = refused(parquet([{"x": "ok", "blob": None}, {"x": "bad", "blob": b"\x00"}]), PARQUET)
    assert [(e.pointer, e.detail) for e in error.errors] == [
        ("/2/blob", "row 2: column 'blob' holds bytes, which JSON has not; write text or numbers")
    ]


@pytest.mark.parametrize(
    ("data", "media_type", "pointers", "words"),
    [
        (b"", JSONL, [""], "0 bytes"),
        (b"", CSV, [""], "0 bytes"),
        (b"\n\n", JSONL, [""], "no items"),
        (b"a,b\n", CSV, [""], "no items"),
        (b'{"inputs": {}}\n{"inputs": {}\n{"inputs": {}}x', JSONL, ["/2", "/3"], "line 2: not JSON"),
        (b'{"inputs": {"q": "\xff"}}', JSONL, ["/1"], "line 1: byte 18 of the file is not UTF-8"),
        (b"q\nok\n\xe4\n", CSV, ["/3"], "line 3: byte 5 of the file is not UTF-8"),
        ("q\nä".encode("utf-16"), CSV, ["/1"], "byte 0 of the file is not UTF-8"),
        (b"[1]", JSONL, ["/1"], "line 1: Expected `object`, got `array`"),
        (b'{"id": "a"}', JSONL, ["/1/inputs"], "required field `inputs`"),
        (b'{"inputs": {}, "input": 1}', JSONL, ["/1/input"], "line 1: input: Object contains unknown field"),
        (b'{"inputs": [], "id": "a"}', JSONL, ["/1/inputs"], "line 1: inputs: Expected `object`, got `array`"),
        (b'{"inputs": {}, "tags": "a"}', JSONL, ["/1/tags"], "line 1: tags: Expected `array`"),
        (b'{"inputs": {}, "id": ""}', JSONL, ["/1/id"], "line 1: id: "),
        (b'{"inputs": {}, "history": [{"content": "x"}]}', JSONL, ["/1/history/0"], "has no role"),
        (b'{"inputs": {}, "recorded": {"m": {"txt": "x"}}}', JSONL, ["/1/recorded/txt"], "line 1: recorded/txt: "),
        (b'{"inputs": {"x": NaN}}', JSONL, ["/1"], "line 1: not JSON"),
        (b'{"inputs": {"x": 1e400}}', JSONL, ["/1"], "line 1"),
        (b'{"inputs": {"x": 9007199254740993}}', JSONL, ["/1/inputs/x"], "past 2**53"),
        (
            b'{"id":"a","inputs":{}}\n\n{"id":"a","inputs":{"q":1}}',
            JSONL,
            ["/3/id"],
            "line 3: the id 'a' stands at line 1",
        ),
        (b'{"inputs":{"q":1}}\n{"inputs":{"q":1}}', JSONL, ["/2/id"], "line 2: the id 'sha256:"),
        (b"id,q\na,x\na,y\n", CSV, ["/3/id"], "line 3: the id 'a' stands at line 2 already"),
        (b"id,q\na,x,z\nb\nc,ok\n", CSV, ["/2", "/3"], "line 2: 3 fields, and the header has 2"),
        (b'id,q\na,"x\ny"\nb,"open', CSV, ["/4"], "not CSV"),
        (b'id,q\na,"x\ny"\nb\n', CSV, ["/4"], "line 4: 1 fields"),
        (b"id,q,q\na,x,y\n", CSV, ["/1"], "two columns are called 'q'"),
        (b"id,,q\na,x,y\n", CSV, ["/1"], "column 2 has no name"),
        (b",\n,\n", CSV, ["/1"], "there is no header"),
        (b"id;q\n1;x\n", CSV, ["/1"], "not by semicolons"),
        (b"PAR1 not really", PARQUET, [""], "not Parquet"),
        (b"a,b\n1,2\n", PARQUET, [""], "not Parquet"),
    ],
)
def test_a_bad_file_is_refused_with_line_field_and_fix(
    data: bytes, media_type: str, pointers: list[str], words: str
) -> None:
    error = refused(data, media_type)
    assert [e.pointer for e in error.errors] == pointers
    assert words in error.detail


def test_another_media_type_is_named_with_those_that_are_read() -> None:
    with pytest.raises(UnsupportedMediaError, match="text/csv"):
        parse(b"x", "text/html")


def test_of_many_bad_lines_the_first_twenty_are_named() -> None:
    assert len(refused(b"{\n" * 1000, JSONL).errors) == MAX_PROBLEMS


def test_bombs_are_refused() -> None:
    deep = b'{"inputs": {"x": ' + b"[" * 5000 + b"]" * 5000 + b"}}"
    assert refused(deep, JSONL).errors[0].pointer.startswith("/1")
    assert "nested deeper" in refused(b'{"inputs": {"x": ' + b"[" * 100 + b"]" * 100 + b"}}", JSONL).detail
    assert "bytes; at most" in refused(b'{"inputs": {"x": "' + b"a" * 9_000_000 + b'"}}', JSONL).detail
    wide = ",".join(f"c{i}" for i in range(3_000)).encode()
    assert "columns; at most" in refused(wide + b"\n" + wide, CSV).detail


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
def test_what_a_csv_writer_writes_is_read_back(rows: list[tuple[str, str]]) -> None:
    import csv

    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(["id", "question", "reference"])
    writer.writerows([str(i), question, reference] for i, (question, reference) in enumerate(rows))
    found = [item(f) for f in parse(sink.getvalue().encode(), CSV)]
    wanted = [(q.replace("\r\n", "\n"), r.replace("\r\n", "\n")) for q, r in rows]
    assert [(f["inputs"]["question"], f["reference"]) for f in found] == wanted

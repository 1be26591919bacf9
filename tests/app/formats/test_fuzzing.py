"""Whatever a file holds: an import, or a refusal that names the file. Nothing else, and not for long."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.formats.schemas import Imported
from app.formats.service import READERS, read
from app.kit.documents import dump
from app.kit.errors import InvalidContentError
from tests.app.formats.syncing import parsed

FIELDS = {
    "promptfoo": """description prompts providers targets tests scenarios defaultTest evaluateOptions assertionTemplates vars
        assert type value threshold weight metric options metadata config id label raw repeat $ref disableVarExpansion env""",
    "openai": """id version name variables messages instructions input model tools text format schema type role content
        function parameters response_format json_schema reasoning effort data prompt metadata created_at tool_choice""",
    "langfuse": "name version type prompt config labels tags role content model tools response_format data commitMessage",
    "prompt.yml": """name description model modelParameters messages role content testData expected evaluators string contains
        startsWith endsWith equals uses llm responseFormat jsonSchema""",
    "prompty": """name description model id provider apiType options configuration parameters inputs outputs kind type default
        sample tools template format metadata tags authors properties items enumValues example""",
    "git-log": "path text date author message commit pattern version",
    "text": "x",
}
PATHS = {
    "promptfoo": "promptfooconfig.yaml",
    "openai": "p.json",
    "langfuse": "p.json",
    "prompt.yml": "p.prompt.yml",
    "prompty": "p.prompty",
    "git-log": "log.jsonl",
    "text": "p.md",
}
VALUES = [
    *[
        "user",
        "system",
        "text",
        "chat",
        "function",
        "placeholder",
        "assert-set",
        "contains",
        "equals",
        "is-json",
        "regex",
        "cost",
    ],
    *[
        "{{ x }}",
        "{% if %}",
        "{{",
        "file://p.md",
        "file://*",
        "openai:gpt",
        "exec:x",
        "a/b",
        "",
        "\u202e",
        "2",
        "json_schema",
    ],
    *[
        "object",
        "string",
        "thread",
        "word-count",
        "levenshtein",
        "#/assertionTemplates/id",
        "${env:X}",
        "[{",
        "- role: x",
    ],
]


def data(format_: str) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(FIELDS[format_].split())
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-2, 2**60)
        | st.floats(allow_nan=False)
        | st.sampled_from(VALUES)
        | st.text(max_size=5)
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(keys, inner, max_size=6)
            | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        ),
        max_leaves=25,
    )


@pytest.mark.parametrize("format_", sorted(READERS))
def test_any_data_under_the_fields_of_a_format_is_read_or_refused(format_: str) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(data(format_), min_size=1, max_size=2),
        st.dictionaries(st.sampled_from(FIELDS[format_].split()), data(format_)),
    )
    def check(several: list[Any], mapping: dict[str, Any]) -> None:
        text = json.dumps(several if format_ in ("openai", "langfuse") and len(several) == 2 else mapping)
        if format_ in ("promptfoo", "prompt.yml"):
            text = dump(mapping)
        elif format_ == "prompty":
            text = f"---\n{dump(mapping)}---\nuser:\n{{{{ x }}}}\n"
        files = {PATHS[format_]: text.encode(), **({"p.md": b"hi"} if format_ == "promptfoo" else {})}
        begun = time.thread_time()
        try:
            imported = read(format_, files)
        except InvalidContentError:
            imported = Imported()
        assert time.thread_time() - begun < 5
        parsed(imported)

    check()


@pytest.mark.parametrize("format_", sorted(READERS))
def test_any_bytes_are_read_or_refused(format_: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(
        st.binary(max_size=60)
        | st.text(max_size=60).map(str.encode)
        | st.text("[]{}:-,\"'\n &*!|>#%a1", max_size=40).map(str.encode)
    )
    def check(content: bytes) -> None:
        with contextlib.suppress(InvalidContentError):
            parsed(read(format_, {PATHS[format_]: content}))

    check()

import json
import time
from typing import Any

import httpx2
import pytest

from app.formats.promptfoo.tables import assertion_of
from app.formats.schemas import Imported
from app.formats.service import read
from app.kit.documents import load
from app.kit.errors import InvalidContentError
from tests.app.formats.syncing import synced

CONFIG = """\
# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json
description: Support answers
prompts:
  - file://prompts/answer.txt
  - file://prompts/chat.json
  - label: short
    raw: "Answer {{ question }} in one word."
  - file://prompts/build.py:make
  - "Say {{ shout(question) }}"
providers:
  - openai:gpt-5-mini
  - id: openai:chat:gpt-5
    label: large
    config: {temperature: 0, apiKey: sk-not-to-be-kept}
  - anthropic:messages:claude-x
  - exec:./run.sh
defaultTest:
  vars: {tone: kind}
  assert:
    - type: latency
      threshold: 5000
    - {type: not-contains, value: "as an AI"}
tests:
  - description: capital
    vars: {question: Capital of France?, expected: Paris}
    assert:
      - {type: equals, value: "{{ expected }}"}
      - {type: llm-rubric, value: is polite}
  - vars: {question: [Capital of Italy?, Largest city of Italy?]}
    threshold: 0.5
    assert:
      - {type: icontains, value: rome, weight: 2, metric: city}
      - type: javascript
        value: output.length > 3
  - vars: {question: Capital of Spain?}
    assert:
      - {type: icontains, value: madrid, weight: 2, metric: city}
      - {type: regex, value: "^[A-Z]"}
      - {type: regex, value: "(?=x)"}
  - file://tests.csv
outputPath: out.json
nunjucksFilters: {shout: shout.js}
"""
FILES = {
    "promptfooconfig.yaml": CONFIG,
    "prompts/answer.txt": "You are {{tone}}.\n{{question}}\n---\n\n{% if tone %}Be {{tone}}.{% endif %} {{question}}\n",
    "prompts/chat.json": '[{"role": "system", "content": "Be {{ tone }}."}, {"role": "user", "content": "{{ question }}"}]',
    "tests.csv": "question,__expected,__expected2,__description,__threshold,__metric\n"
    'Two?,"contains-any: two, 2",is-json,count,0.5,\n'
    "Three?,three,latency(100),,,\n",
}


def imported(files: dict[str, str] = FILES, format_: str = "promptfoo") -> Imported:
    return read(format_, {path: text.encode() for path, text in files.items()})


def yaml_of(found: Imported, path: str) -> Any:
    text = found.files[path]
    assert isinstance(text, str)
    return load(text).data


def items_of(found: Imported, name: str) -> list[dict[str, Any]]:
    text = found.files[f"datasets/{name}.jsonl"]
    assert isinstance(text, str)
    return [json.loads(line) for line in text.splitlines()]


async def test_a_promptfoo_project_is_taken_by_a_sync(client: httpx2.AsyncClient) -> None:
    found = imported()
    actions = await synced(client, found)
    assert set(actions.values()) == {"create"}
    assert {name for kind, name in actions if kind == "prompts"} == {"answer", "answer-2", "chat", "short"}
    assert {name for kind, name in actions if kind == "endpoints"} == {
        "openai/gpt-5-mini",
        "large",
        "anthropic/messages/claude-x",
    }
    assert {name for kind, name in actions if kind in ("suites", "datasets")} == {"support-answers"}


def test_prompts_keep_their_words_and_variables() -> None:
    found = imported()
    assert yaml_of(found, "prompts/answer.prompt.yaml")["messages"] == [
        {"role": "user", "content": "You are {{tone}}.\n{{question}}"}
    ]
    chat = yaml_of(found, "prompts/chat.prompt.yaml")
    assert [m["role"] for m in chat["messages"]] == ["system", "user"]
    assert chat["variables"] == {"question": {"type": "string"}, "tone": {"type": "string"}}


def test_assertions_become_scorers_and_expected_values_references() -> None:
    found = imported()
    suite = yaml_of(found, "datasets/support-answers.suite.yaml")
    assert suite["endpoints"] == ["openai/gpt-5-mini", "large", "anthropic/messages/claude-x"]
    assert suite["scorers"] == [
        {"use": "latency", "args": {"threshold": 5000}, "when": ["latency"]},
        {"use": "contains", "args": {"values": "as an AI", "negate": True}, "when": ["contains"]},
        {"use": "exact_match", "when": ["exact_match"]},
        {"use": "contains", "name": "city", "args": {"ignore_case": True}, "weight": 2.0, "when": ["city"]},
        {"use": "regex", "args": {"pattern": "^[A-Z]"}, "when": ["regex"]},
        {
            "use": "assert_set",
            "args": {
                "assert": [
                    {"use": "latency", "args": {"threshold": 5000}},
                    {"use": "contains", "args": {"values": "as an AI", "negate": True}},
                    {"use": "contains", "args": {"values": ["two", "2"]}},
                    {"use": "is_json"},
                ],
                "threshold": 0.5,
            },
            "when": ["assert_set"],
        },
        {"use": "latency", "name": "latency-2", "args": {"threshold": 100.0}, "when": ["latency-2"]},
    ]
    items = items_of(found, "support-answers")
    assert [(i["inputs"]["question"], i.get("reference"), i.get("tags")) for i in items] == [
        ("Capital of France?", "Paris", ["exact_match", "contains", "latency"]),
        ("Capital of Italy?", "rome", ["contains", "city", "latency"]),
        ("Largest city of Italy?", "rome", ["contains", "city", "latency"]),
        ("Capital of Spain?", "madrid", ["contains", "city", "latency", "regex"]),
        ("Two?", None, ["assert_set"]),
        ("Three?", "three", ["exact_match", "contains", "latency", "latency-2"]),
    ]
    assert items[0]["metadata"] == {"description": "capital"}
    assert items[4]["metadata"] == {"description": "count"}


def test_endpoints_name_the_variables_of_keys_and_hold_none() -> None:
    found = imported()
    assert found.endpoints["openai/gpt-5-mini"] == {
        "provider": "openai",
        "model": "gpt-5-mini",
        "api_key": {"env": "OPENAI_API_KEY"},
    }
    assert found.endpoints["large"]["params"] == {"temperature": 0}
    assert found.endpoints["anthropic/messages/claude-x"]["base_url"] == {"env": "ANTHROPIC_BASE_URL"}
    assert "sk-not-to-be-kept" not in repr(found)


def test_every_loss_names_its_line() -> None:
    losses = {(loss.path, loss.line, loss.what.split(":")[0]) for loss in imported().losses}
    config = "promptfooconfig.yaml"
    assert losses == {
        (config, 8, "the prompt 'file"),
        (config, 9, "the prompt 'without a label' is left out"),
        (config, 14, "a key is never copied; set the environment variable of the endpoint"),
        (config, 15, "'anthropic"),
        (config, 16, "the provider 'exec"),
        (config, 28, "the assertion `llm-rubric` is not kept"),
        (config, 30, "these assertions stand for themselves, without a common threshold"),
        (config, 33, "the assertion `javascript` is not kept"),
        (config, 39, "the assertion is not kept"),
        (config, 42, "`nunjucksFilters` of the config is not kept"),
    }


def test_the_config_that_openai_evals_exports_is_read() -> None:
    exported = {
        "description": "Ticket classifier",
        "prompts": [
            {"label": "classify", "raw": json.dumps([{"role": "developer", "content": "Sort {{ item.ticket }}"}])}
        ],
        "providers": [{"id": "openai:responses:gpt-5-mini", "config": {"temperature": 1, "top_p": 1}}],
        "tests": [
            {
                "vars": {"item": {"ticket": "It is broken 😀", "label": "bug"}},
                "assert": [{"type": "equals", "value": "{{ item.label }}"}],
            },
            {
                "vars": {"item": {"ticket": "Thanks", "label": "praise"}},
                "assert": [{"type": "equals", "value": "{{ item.label }}"}],
            },
        ],
    }
    found = imported({"classifier.json": json.dumps(exported)})
    assert yaml_of(found, "prompts/classify.prompt.yaml")["variables"] == {"item": {}}
    assert [item["reference"] for item in items_of(found, "ticket-classifier")] == ["bug", "praise"]
    assert yaml_of(found, "datasets/ticket-classifier.suite.yaml")["scorers"] == [{"use": "exact_match"}]
    assert found.endpoints["openai/responses/gpt-5-mini"]["params"] == {"temperature": 1, "top_p": 1}


def test_a_variable_that_a_case_lacks_is_empty_as_it_was_there() -> None:
    found = imported(
        {"promptfooconfig.yaml": "prompts: ['{{ a }}{{ b }}']\ntests: [{vars: {a: x}}, {vars: {a: 1, b: y}}]"}
    )
    assert yaml_of(found, "prompts/promptfoo.prompt.yaml")["variables"] == {
        "a": {},
        "b": {"type": "string", "default": ""},
    }


@pytest.mark.parametrize(
    ("text", "default", "losses"),
    [
        ("{{ tone | default('kind') }} {{ q }}", "kind", 0),
        ('{{ tone|default("kind", true) }}, {{ tone | default("kind") }} {{ q }}', "kind", 0),
        ("{{ tone }} {{ q }} default", "", 0),
        ("{{ tone | default('kind') }} {{ tone }} {{ q }}", "", 1),
        ("{% if tone is defined %}Be {{ tone }}.{% endif %} {{ q }}", "", 1),
    ],
)
def test_what_a_prompt_says_instead_of_a_missing_variable_is_its_default_or_a_loss(
    text: str, default: str, losses: int
) -> None:
    tests = [{"vars": {"q": "x", "tone": "dry"}}, {"vars": {"q": "y"}}]
    found = imported({"promptfooconfig.yaml": json.dumps({"description": "t", "prompts": [text], "tests": tests})})
    (path,) = [path for path in found.files if path.endswith(".prompt.yaml")]
    assert yaml_of(found, path)["variables"]["tone"]["default"] == default
    assert len([loss for loss in found.losses if "asks whether" in loss.what]) == losses


def test_variables_are_filled_in_as_promptfoo_does() -> None:
    """Seen with promptfoo's own `echo` provider: texts are templates of their variables, chats only take in names."""
    tests = """
tests:
  - vars: {q: "{% if y %}a{% endif %} {{ y | upper }}", y: "{{ w }}", w: W}
  - vars: {q: "a {{ y }} {{ '{{' }} {{ z }} {# c #}", y: Y}
  - vars: {q: "a {{x", y: "two\\n\\n"}
"""
    chat = 'prompts: [\'[{"role": "user", "content": "{{ q }}"}]\']'
    filled = [
        [item["inputs"] for item in items_of(imported({"promptfooconfig.yaml": prompts + tests}), "promptfoo")]
        for prompts in ("prompts: ['{{ q }}']", chat)
    ]
    assert [[inputs["q"] for inputs in each] for each in filled] == [
        ["a W", "a Y {{ '{{' }} {{ z }} {# c #}", "a {{x"],
        ["{% if y %}a{% endif %} {{ y | upper }}", "a Y {{ '{{' }} {{ z }} {# c #}", "a {{x"],
    ]
    assert filled[0][2]["y"] == "two\n"


def test_two_expectations_of_one_case_are_two_scorers() -> None:
    config = """\
prompts: ["{{ q }}"]
tests:
  - {vars: {q: a}, assert: [{type: contains, value: x}, {type: contains, value: y}, {type: equals, value: xy}]}
  - {vars: {q: b}, assert: [{type: contains, value: z}, {type: equals, value: z}]}
"""
    found = imported({"promptfooconfig.yaml": config})
    assert yaml_of(found, "datasets/promptfoo.suite.yaml")["scorers"] == [
        {"use": "contains", "args": {"values": "x"}, "when": ["contains"]},
        {"use": "contains", "name": "contains-2", "args": {"values": "z"}, "when": ["contains-2"]},
        {"use": "contains", "name": "contains-3", "args": {"values": "y"}, "when": ["contains-3"]},
        {"use": "exact_match"},
    ]


BOMB = "a: &a [1,2,3,4,5,6,7,8,9]\n" + "".join(
    f"{n}: &{n} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n" for p, n in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"promptfooconfig.yaml": BOMB}, "promptfooconfig.yaml: line 6: more than 200,000 values"),
        ({"promptfooconfig.yaml": "[" * 50_000}, "line 1: nested deeper than 64"),
        ({"promptfooconfig.json": "[" * 50_000}, "line 1: not JSON"),
        (
            {"promptfooconfig.json": '{"prompts": [],\n"prompts": []}'},
            "line 2: the key 'prompts' stands at line 1 already",
        ),
        (
            {"promptfooconfig.yaml": "prompts: []\ntests: file://../../etc/passwd"},
            "line 2: 'file://../../etc/passwd' leads out",
        ),
        ({"promptfooconfig.yaml": "prompts: file:///etc/passwd"}, "line 1: 'file:///etc/passwd' is refused"),
        ({"promptfooconfig.yaml": "prompts:\n- file://C:\\x.txt"}, "line 2: 'file://C:\\\\x.txt' is refused"),
        (
            {"promptfooconfig.yaml": "prompts: file://gone.txt"},
            "line 1: 'file://gone.txt' was not sent; add the file gone.txt",
        ),
        (
            {"promptfooconfig.yaml": "prompts: []\ntests: file://t.yaml", "t.yaml": "- file://t.yaml"},
            "t.yaml refers to itself",
        ),
        ({"promptfooconfig.yaml": "prompts: file://p.yaml", "p.yaml": "- file://p.yaml"}, "p.yaml refers to itself"),
        (
            {"promptfooconfig.yaml": "prompts: []\ntests: [{vars: {a: %s, b: %s, c: %s}}]" % (([*range(99)],) * 3)},
            "10,000 cases",
        ),
        ({"promptfooconfig.yaml": "prompts: []\ntests: t.csv", "t.csv": "a,b\n1\n"}, "t.csv: line 2: 1 fields"),
        ({"promptfooconfig.yaml": "prompts: []\ntests: [{vars: {a: 9007199254740993}}]"}, "past 2**53"),
        ({"promptfooconfig.yaml": "prompts: []\ntests: 5"}, "line 2: a test is a mapping, not a number"),
        ({"promptfooconfig.yaml": "prompts: {a: !!python/object:os.system x}"}, "line 1: the tag"),
        ({"notes.txt": "x"}, "there is no promptfooconfig.yaml"),
        (
            {"promptfooconfig.yaml": f"prompts: [x]\ntests: [{{vars: {{a: {[*range(5000)]}, b: {'x' * 50_000}}}}}]"},
            "line 2: the cases hold more than 33,554,432 characters",
        ),
        (
            {
                "promptfooconfig.yaml": f"prompts: [x]\ndefaultTest: {{assert: [{'{type: is-json},' * 500}]}}\ntests: [{{vars: {{a: {[*range(200)]}}}}}]"
            },
            "line 3: more than 50,000 assertions",
        ),
    ],
)
def test_bad_projects_are_refused_at_once_with_file_and_line(files: dict[str, str], words: str) -> None:
    before = time.thread_time()
    with pytest.raises(InvalidContentError) as refusal:
        imported(files)
    assert time.thread_time() - before < 3
    assert words in refusal.value.detail


@pytest.mark.parametrize(
    ("cell", "assertion"),
    [
        ("Paris", {"type": "equals", "value": "Paris"}),
        ("equals:Paris", {"type": "equals", "value": "Paris"}),
        ("icontains: Paris", {"type": "icontains", "value": "Paris"}),
        ("contains-any:a, b", {"type": "contains-any", "value": ["a", "b"]}),
        ("similar(0.8):x", {"type": "similar", "value": "x", "threshold": 0.8}),
        ("not-contains:x", {"type": "not-contains", "value": "x"}),
        ("is-json", {"type": "is-json"}),
        ("note: see below", {"type": "equals", "value": "note: see below"}),
        ("javascript: output.length", {"type": "javascript", "value": " output.length"}),
        ("grade: is kind", {"type": "llm-rubric", "value": " is kind"}),
        ("file://check.py", {"type": "python", "value": "file://check.py"}),
    ],
)
def test_a_cell_of_a_csv_file_is_an_assertion(cell: str, assertion: dict[str, Any]) -> None:
    assert assertion_of(cell) == assertion


def test_files_that_no_config_names_are_reported() -> None:
    found = imported({"promptfooconfig.yaml": "prompts: [x]", "notes.md": "x"})
    assert ("notes.md", None) in {(loss.path, loss.line) for loss in found.losses}


def test_scenarios_sets_and_templates_of_assertions_are_taken_apart() -> None:
    config = """\
prompts: ["{{ q }} {{ tone }}"]
scenarios:
  - config: [{vars: {tone: kind}}, {vars: {tone: terse}}]
    tests:
      - vars: {q: a}
        assert:
          - {$ref: "#/assertionTemplates/short"}
          - type: assert-set
            threshold: 0.5
            assert: [{type: icontains, value: "{{ tone }}"}, {type: select-best, value: best}]
assertionTemplates:
  short: {type: word-count, value: {max: 20}}
"""
    found = imported({"promptfooconfig.yaml": config})
    assert [item["inputs"] for item in items_of(found, "promptfoo")] == [
        {"tone": "kind", "q": "a"},
        {"tone": "terse", "q": "a"},
    ]
    assert yaml_of(found, "datasets/promptfoo.suite.yaml")["scorers"] == [
        {"use": "length", "args": {"max": 20, "unit": "words"}},
        {"use": "contains", "args": {"ignore_case": True}},
    ]
    assert [(loss.line, loss.what.split(":")[0]) for loss in found.losses] == [
        (9, "these assertions stand for themselves, without a common threshold"),
        (10, "the assertion `select-best` is not kept"),
    ]

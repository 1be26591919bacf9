"""Templates: what they may do, what they may not, and that nothing they do gets out of hand."""

import threading
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.kit.templates import MAX_OUTPUT, MissingVariableError, TemplateError, check, render


@pytest.mark.parametrize(
    ("source", "variables", "expected"),
    [
        ("plain text, {braces} and 50 % off\n", {}, "plain text, {braces} and 50 % off\n"),
        ("{{ question }}", {"question": "Wie groß?\r\n"}, "Wie groß?\r\n"),
        ("{{ a.b }} {{ a['c d'] }} {{ xs[0] }} {{ xs[-1] }}", {"a": {"b": 1, "c d": 2.5}, "xs": [3, 4]}, "1 2.5 3 4"),
        ("{{ a }} {{ b }} {{ c }}", {"a": None, "b": True, "c": [1, "x", None]}, "None True [1, 'x', None]"),
        ("{% if n > 2 and not done %}more{% elif n == 2 %}two{% else %}few{% endif %}", {"n": 2, "done": False}, "two"),
        (
            "{% for k in xs if k != 'b' %}{{ loop.index }}={{ k }};{% else %}none{% endfor %}",
            {"xs": ["a", "b"]},
            "1=a;",
        ),
        ("{% for k, v in pairs %}{{ k }}:{{ v }} {% endfor %}", {"pairs": [["a", 1], ["b", 2]]}, "a:1 b:2 "),
        ("{% for x in xs -%}  [{{ x }}]  {%- endfor %}", {"xs": [1, 2]}, "[1][2]"),
        ("{% for x in xs %}{# note -#}  {{ x }}{% endfor %}", {"xs": [1, 2]}, "12"),
        ("a {%- if true %} b{% endif -%} c", {}, "a bc"),
        ("{{ '{{' }} {{ \"}}\" }} {{ '%}' }}", {}, "{{ }} %}"),
        (
            "{{ x|trim|upper }} {{ xs|join(', ') }} {{ xs|length }} {{ xs|first }}",
            {"x": " a ", "xs": [1, 2]},
            "A 1, 2 2 1",
        ),
        ("{{ missing|default('d') }}{{ 'y' if missing is defined else 'n' }}", {}, "dn"),
        ("{{ x|tojson }}", {"x": {"t": "<ä> & 'q'", "n": [1, None]}}, '{"t":"<ä> & \'q\'","n":[1,null]}'),
        ("<b>{{ x }}</b>", {"x": '<i> & "q"'}, '<b><i> & "q"</b>'),
        ("{{ chunk.title }}{{ chunk.items }}", {"chunk": {"title": "T", "items": 3}}, "T3"),
        ("{% if lang in ['de', 'fr'] %}ok{% endif %}", {"lang": "de"}, "ok"),
    ],
)
def test_the_subset_renders_as_jinja_does(source, variables, expected):
    assert render(source, variables) == expected


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("no variables", set()),
        ("{{ a.b.c }}{{ d['e'] }}{{ f|default(g) }}", {"a", "d", "f", "g"}),
        ("{% for x in xs %}{{ x }}{{ loop.index }}{% endfor %}", {"xs"}),
        ("{% for x in xs %}{{ x }}{% endfor %}{{ x }}", {"xs", "x"}),
        ("{% for x in x %}{{ x }}{% endfor %}", {"x"}),
        ("{% for x in xs %}a{% else %}{{ x }}{% endfor %}", {"xs", "x"}),
        (
            "{% for a, b in xs if a == c %}{% for d in b %}{{ d }}{{ a }}{% endfor %}{{ d }}{% endfor %}",
            {"xs", "c", "d"},
        ),
        ("{{ 'a' if x is defined else y }}", {"x", "y"}),
        ("{# {{ hidden }} #}{{ '{{ text }}' }}", set()),
    ],
)
def test_check_names_exactly_what_must_come_from_outside(source, names):
    assert check(source) == names


HOSTILE = [
    "{{ ''.__class__.__mro__ }}",
    "{{ x['__class__'] }}",
    "{{ x|attr('__init__') }}",
    "{{ x.__init__.__globals__ }}",
    "{{ self }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ config.items() }}",
    "{{ x.append(1) }}",
    "{{ (x.append)(1) }}",
    "{{ x['append'](1) }}",
    "{{ x | map('upper') }}",
    "{{ x|map(attribute='__class__') }}",
    "{{ range(10) }}",
    "{{ range }}",
    "{{ dict(a=1) }}",
    "{{ namespace() }}",
    "{{ debug() }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 10 ** 10 }}",
    "{{ x ~ x }}",
    "{{ x + x }}",
    "{{ x[0:1] }}",
    "{{ {'a': 1} }}",
    "{{ x|safe }}",
    "{{ x|replace('', x) }}",
    "{{ x|indent(100000000) }}",
    "{{ x|join()() }}",
    "{{ loop }}",
    "{% for a in x %}{{ loop.cycle(1, 2) }}{% endfor %}",
    "{% for a in x recursive %}{{ loop(a) }}{% endfor %}",
    "{% set y = x %}",
    "{% set y %}a{% endset %}",
    "{% macro m() %}{% endmacro %}",
    "{% call x() %}{% endcall %}",
    "{% include 'a' %}",
    "{% import 'a' as b %}",
    "{% from 'a' import b %}",
    "{% extends 'a' %}",
    "{% block b %}{% endblock %}",
    "{% raw %}{{ x }}{% endraw %}",
    "{% filter upper %}a{% endfilter %}",
    "{% with a = 1 %}{% endwith %}",
    "{% autoescape true %}{{ x }}{% endautoescape %}",
    "{% do x.append(1) %}",
    "{{ 'a' if x }}",
    "{{ x",
    "{{ x }",
    "{{ x %}",
    "{% if x %}",
    "{% endfor %}",
    "{# open",
    "{{ }}",
    "{%%}",
    "{{ 'open }}",
    "{{ x is divisibleby(2) }}",
    "{{ é }}",
    "{{ x\u00a0}}",
    "{{ 1|_text }}",
    "{{ _x }}",
    "{{ 99999999999999999999999999999999999999999999999999|join }}",
    "{{ " + "(" * 2000 + "x" + ")" * 2000 + " }}",
    "{{ x" + ".a" * 2000 + " }}",
    "{{ not " * 3000 + "x }}",
]


@pytest.mark.parametrize("source", HOSTILE)
def test_what_is_not_of_the_subset_is_refused(source):
    started = time.thread_time()
    with pytest.raises(TemplateError):
        render(source, {"x": [1]})
    assert time.thread_time() - started < 0.2


MANY = list(range(1000))
BOMBS = [
    ("{% for a in x %}{% for b in x %}{% for c in x %}{% endfor %}{% endfor %}{% endfor %}", {"x": MANY}),
    ("{% for a in x %}{% for b in x %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}" * 20, {"x": MANY}),
    ("{% for a in x %}{% for b in x %}" + "literal " * 500 + "{% endfor %}{% endfor %}", {"x": MANY}),
    ("{% for a in x %}{% for b in x -%}   " + "literal " * 500 + "{%- endfor %}{% endfor %}", {"x": MANY}),
    ("{% for a in x %}{% for b in x %}{# c #}" + "é" * 900 + "{% endfor %}{% endfor %}", {"x": MANY}),
    ("{% for a in x %}{% for b in x %}{{ y }}{% endfor %}{% endfor %}", {"x": MANY, "y": "q" * 1000}),
    ("{% for a in x %}{% for b in x %}{{ '" + "l" * 1000 + "' }}{% endfor %}{% endfor %}", {"x": MANY}),
    ("{{ x|join(y) }}", {"x": MANY, "y": "q" * 100_000}),
    ("{{ x" + "|tojson" * 48 + " }}", {"x": '"\\'}),
    ("{{ y }}", {"y": "q" * (MAX_OUTPUT + 1)}),
    ("{{ y }}", {"y": "é" * (MAX_OUTPUT // 2 + 1)}),
    ("{{ y }}{{ y }}", {"y": "q" * (MAX_OUTPUT // 2 + 1)}),
    ("{{ y }}" * 3, {"y": ["q" * (MAX_OUTPUT // 2)]}),
]


@pytest.mark.parametrize(("source", "variables"), BOMBS)
def test_a_bomb_is_stopped_by_its_size_or_its_time(source, variables):
    started = time.thread_time()
    with pytest.raises(TemplateError, match=r"larger than|takes"):
        render(source, variables)
    assert time.thread_time() - started < 0.3


def test_a_large_but_allowed_output_is_whole():
    assert render("{{ y }}", {"y": "q" * MAX_OUTPUT}) == "q" * MAX_OUTPUT
    assert render("{% for x in xs %}{{ y }}{% endfor %}", {"xs": [1, 2], "y": "é" * 1000}) == "é" * 2000


def test_a_missing_variable_is_named_with_its_line():
    with pytest.raises(MissingVariableError) as caught:
        render("first\n{% if true %}{{ second }}{% endif %}", {})
    assert (caught.value.name, caught.value.line) == ("second", 2)
    with pytest.raises(MissingVariableError, match="'plain'"):
        render("{{ plain }}", {})


def test_a_missing_field_is_named_and_methods_are_not_fields():
    for path in ("x.nothing", "x.items", "x['keys']", "y.append", "y['__class__']", "x.b.c"):
        with pytest.raises(TemplateError, match="is undefined"):
            render("{{ " + path + " }}", {"x": {"b": {}}, "y": []})
    assert render("{{ x.items|default('none') }}{{ x.items is defined }}", {"x": {}}) == "noneFalse"


def test_a_refusal_names_line_and_reason():
    with pytest.raises(TemplateError, match=r"line 3: `set` is not allowed; statements are elif, else"):
        check("one\ntwo\n{% set a = 1 %}")
    with pytest.raises(TemplateError, match=r"line 2: the filter 'attr' is not allowed; filters are capitalize"):
        check("one\n{{ a|attr('b') }}")


def test_values_that_are_not_plain_data_are_refused():
    for value in (object(), {"a": {1, 2}}, 2**200, b"bytes"):
        with pytest.raises(TemplateError):
            render("{{ x }}", {"x": value})
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(TemplateError, match="nested too deeply"):
        render("{{ x }}", {"x": deep})


def test_rendering_leaves_the_callers_data_alone():
    data = {"xs": [1, [2]], "d": {"a": {"b": 1}}}
    render("{% for x in xs %}{{ x }}{% endfor %}{{ d.a.b }}{{ d }}", data)
    assert data == {"xs": [1, [2]], "d": {"a": {"b": 1}}}
    assert type(data["xs"]) is list


def test_renders_on_several_threads_do_not_share_their_bounds():
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                assert (
                    len(render("{% for x in xs %}{{ y }}{% endfor %}", {"xs": [0] * 9, "y": "q" * 100_000})) == 900_000
                )
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


TEXTS = st.text(alphabet=st.sampled_from("ab{}%#é \n\r-'\"<&"), max_size=12)


@given(texts=st.lists(TEXTS, min_size=1, max_size=4), value=st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_the_short_way_for_bare_names_gives_what_minijinja_gives(texts, value):
    texts = [t.rstrip("{") for t in texts]
    assume(not any(tag in t for t in texts for tag in ("{{", "{%", "{#")))
    source = "{{ x }}".join(texts)
    assert (
        render(source, {"x": value}) == render(source + "{% if true %}{% endif %}", {"x": value}) == value.join(texts)
    )


@given(source=st.text(alphabet=st.sampled_from("{}%#-+ xy.|()[]'\"if_\n0"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_source_renders_or_is_a_template_error(source):
    try:
        result = render(source, {"x": {"y": [1]}, "y": "text"})
    except TemplateError:
        return
    assert isinstance(result, str)
    assert "built-in method" not in result

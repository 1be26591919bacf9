"""promptfoo's assertions as scorers of a suite.

What a case expects becomes its `reference` where an assertion needs one (`equals`, `levenshtein`) or where the same
assertion expects something else in each case; else it stands in the scorer. A scorer that not every case asked for gets a
`when`, and its cases that tag.
"""

import json
from collections.abc import Sequence
from typing import Any

from app.formats.building import Builder
from app.formats.naming import tag_of
from app.formats.nodes import Node
from app.formats.promptfoo.cases import Case
from app.formats.promptfoo.graded import ASKING
from app.formats.promptfoo.mapping import Form, Mapper, Wanted
from app.formats.sources import Sources

MAX_SCORERS = 100
MAX_ASSERTIONS = 50_000


def scorers(cases: Sequence[Case], sources: Sources, builder: Builder, templates: Node) -> list[dict[str, Any]]:
    """The entries of a suite; the references and tags of `cases` are set on the way.

    `templates` is the config's `assertionTemplates`. What cannot be mapped is a loss with the line of the assertion.
    """
    groups: dict[tuple[Form, int], dict[int, Wanted]] = {}
    asked, mapper = 0, Mapper(sources, builder, templates)
    for index, case in enumerate(cases):
        asked += len(case.asserts)
        if asked > MAX_ASSERTIONS:
            raise case.place.refuse(
                f"more than {MAX_ASSERTIONS:,} assertions, those of defaultTest counted for each case"
            )
        count: dict[Form, int] = {}
        for wanted in mapper.all_of(case):
            number = count.get(wanted.form, 0)
            count[wanted.form] = number + 1
            groups.setdefault((wanted.form, number), {})[index] = wanted
    entries = _Entries(cases, builder)
    order = {"reference": 0, "values": 1, "nothing": 2}
    for (form, _), members in sorted(groups.items(), key=lambda group: order[group[0][0].takes]):
        entries.add(form, members)
    position = {form: number for number, (form, _) in enumerate(groups)}
    entries.made.sort(key=lambda made: position[made[0]])
    return [entry for _, entry in entries.made]


class _Entries:
    def __init__(self, cases: Sequence[Case], builder: Builder) -> None:
        self._cases, self._builder = cases, builder
        self._names: set[str] = set()
        self.made: list[tuple[Form, dict[str, Any]]] = []

    def add(self, form: Form, members: dict[int, Wanted]) -> None:
        if form.takes == "nothing":
            self._entry(form, {}, members)
        elif form.takes == "reference":
            self._entry(form, {}, {i: wanted for i, wanted in members.items() if self._refers(i, wanted)})
        else:
            self._phrases(form, members)

    def _phrases(self, form: Form, members: dict[int, Wanted]) -> None:
        by_value: dict[str, dict[int, Wanted]] = {}
        for index, wanted in members.items():
            by_value.setdefault(json.dumps(wanted.value), {})[index] = wanted
        free = all(self._cases[i].reference in (None, wanted.value) for i, wanted in members.items())
        if len(by_value) > 1 and free:
            for index, wanted in members.items():
                self._cases[index].reference = wanted.value
            self._entry(form, {}, members)
            return
        for same in by_value.values():
            self._entry(form, {"values": next(iter(same.values())).value}, same)

    def _refers(self, index: int, wanted: Wanted) -> bool:
        case = self._cases[index]
        if case.reference is None:
            case.reference = wanted.value
        if case.reference == wanted.value:
            return True
        what = f"this case has the reference {case.reference!r} already, so the scorer {wanted.form.use} is not kept for it"
        self._builder.lose(wanted.node.path, wanted.node.line, what)
        return False

    def _entry(self, form: Form, more: dict[str, Any], members: dict[int, Wanted]) -> None:
        from evaluators.contract import ScorerConfigError
        from evaluators.registry import build

        if not members:
            return
        node = next(iter(members.values())).node
        args = {**json.loads(form.args), **more}
        try:
            build(form.use, {name: value for name, value in args.items() if name not in ASKING})
        except ScorerConfigError as error:
            self._builder.lose(node.path, node.line, f"the assertion is not kept: {error}")
            return
        if len(self.made) >= MAX_SCORERS:
            self._builder.lose(
                node.path, node.line, f"the assertion is not kept: a suite gets at most {MAX_SCORERS} scorers"
            )
            return
        name = self._name(form.metric or form.use)
        entry: dict[str, Any] = {"use": form.use}
        if name != form.use:
            entry["name"] = name
        if args:
            entry["args"] = args
        if form.weight != 1:
            entry["weight"] = form.weight
        if len(members) < len(self._cases):
            tag = tag_of(name)
            entry["when"] = [tag]
            for index in members:
                self._cases[index].tags.append(tag)
        self.made.append((form, entry))

    def _name(self, wanted: str) -> str:
        name, number = wanted[:50], 1
        while name in self._names:
            number += 1
            name = f"{wanted[:50]}-{number}"
        self._names.add(name)
        return name

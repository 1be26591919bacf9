"""Finds scorers, builds them from a suite's entry, and describes them.

Bundled scorers are found by walking this package, third-party ones by the entry point group `promptward.scorers`; an
entry point names a Scorer class, a module or package that is walked the same way, or a function that returns Scorer
classes (the bundled ones are such an entry point, too). There is no list to edit.
"""

import difflib
import functools
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import msgspec

from evaluators.contract import NEEDS, Scorer, ScorerConfigError, ValueRange
from evaluators.judging import JudgeScorer

ENTRY_POINTS = "promptward.scorers"


class RegistryError(Exception):
    """The installed scorers contradict each other or cannot be loaded: a fault of the installation, not of a suite."""


class Description(msgspec.Struct, frozen=True):
    """What a scorer is, for people and pages. `value_range` holds without arguments, which may change it."""

    name: str
    version: int
    kind: str  # "code" or "judge"
    summary: str
    doc: str
    needs: tuple[str, ...]
    binary: bool
    value_range: ValueRange
    schema: dict[str, Any]
    example: dict[str, Any]
    origin: str  # the module that defines it
    extra: str | None  # the extra to install for it


def build(use: str, args: Mapping[str, Any] | None = None) -> Scorer:
    """Make the scorer that a suite's entry asks for.

    Raises ScorerConfigError with a message that names the scorer, the fault and where possible the fix, and with the
    JSON pointer of the faulty part: `/use`, or `/args/…`.
    """
    scorer = get(use)
    try:
        return convert(scorer, args or {})
    except ScorerConfigError as exc:
        raise ScorerConfigError(f"{use}: {exc.message}", exc.pointer) from exc


def convert(scorer: type[Scorer], args: Mapping[str, Any]) -> Scorer:
    """The scorer with these arguments. Raises ScorerConfigError with the JSON pointer of the faulty one."""
    try:
        return msgspec.convert(dict(args), scorer)
    except msgspec.ValidationError as exc:
        message, pointer = _explain(exc, scorer)
        raise ScorerConfigError(message, pointer) from exc


def get(use: str) -> type[Scorer]:
    """The scorer class of that name. Raises ScorerConfigError (pointer `/use`) naming near misses."""
    known = scorers()
    if use not in known:
        raise ScorerConfigError(f"there is no scorer {use!r}{_near(use, known)}", "/use")
    return known[use]


def names() -> list[str]:
    """The names of all scorers, sorted."""
    return sorted(scorers())


def describe(name: str) -> Description:
    """All there is to say about a scorer. Raises ScorerConfigError for an unknown name."""
    scorer = get(name)
    doc = inspect.cleandoc(scorer.__doc__ or "")
    return Description(
        name=scorer.name,
        version=scorer.version,
        kind="judge" if issubclass(scorer, JudgeScorer) else "code",
        summary=doc.partition("\n\n")[0].replace("\n", " "),
        doc=doc,
        needs=tuple(sorted(scorer.needs)),
        binary=scorer.binary,
        value_range=ValueRange(scorer.direction, scorer.low, scorer.high, scorer.unit),
        schema=schema(name),
        example=scorer.example,
        origin=scorer.__module__,
        extra=scorer.extra,
    )


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a scorer's arguments, self-contained."""
    scorer = get(name)
    (reference,), definitions = msgspec.json.schema_components([scorer], ref_template="#/$defs/{name}")
    root = dict(definitions.pop(reference["$ref"].rpartition("/")[2]))
    root["title"] = name
    if definitions:
        root["$defs"] = definitions
    return root


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every scorer's arguments, by name."""
    return {name: schema(name) for name in names()}


@functools.cache
def scorers() -> Mapping[str, type[Scorer]]:
    """All scorers by name: bundled ones first, then those of installed packages. Raises RegistryError."""
    found: dict[str, type[Scorer]] = {}
    for scorer in bundled():
        _register(found, scorer)
    for entry_point in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda each: each.value):
        try:
            loaded = entry_point.load()
        except Exception as exc:
            raise RegistryError(
                f"the entry point {ENTRY_POINTS}:{entry_point.name} = {entry_point.value} cannot be loaded "
                f"({type(exc).__name__}: {exc}); fix or uninstall its package"
            ) from exc
        for scorer in scorers_in(loaded):
            _register(found, scorer)
    return found


def bundled() -> list[type[Scorer]]:
    """The scorers of this package; also there without an installed distribution, as in a checkout."""
    return list(scorers_in(importlib.import_module("evaluators")))


def scorers_in(thing: object) -> Iterator[type[Scorer]]:
    """The scorers of an entry point: a class, all that a module or package defines (not imports), or a call's result.

    Raises RegistryError for anything else.
    """
    if isinstance(thing, type) and issubclass(thing, Scorer):
        yield thing
    elif isinstance(thing, ModuleType):
        modules = [thing]
        if hasattr(thing, "__path__"):
            found = pkgutil.walk_packages(thing.__path__, thing.__name__ + ".")
            modules += [importlib.import_module(info.name) for info in found]
        for module in modules:
            for member in list(vars(module).values()):
                if _is_scorer_of(member, module):
                    yield member
    elif inspect.isfunction(thing):
        for member in thing():
            yield from scorers_in(member)
    else:
        raise RegistryError(f"{thing!r} is neither a Scorer class, nor a module with such classes, nor a function")


def _is_scorer_of(member: object, module: ModuleType) -> bool:
    """A class without a name of its own is a shared base, not a scorer."""
    return (
        isinstance(member, type)
        and issubclass(member, Scorer)
        and member.__module__ == module.__name__
        and "name" in vars(member)
    )


def _register(found: dict[str, type[Scorer]], scorer: type[Scorer]) -> None:
    name = getattr(scorer, "name", None)
    where = f"{scorer.__module__}.{scorer.__qualname__}"
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise RegistryError(f"{where}: a scorer's name is lower-case letters, digits and underscores, not {name!r}")
    if not scorer.needs <= NEEDS:
        raise RegistryError(f"{where}: unknown needs {sorted(scorer.needs - NEEDS)}; known are {sorted(NEEDS)}")
    shadowed = sorted(set(scorer.__struct_fields__) & set(dir(Scorer)) - {"threshold", "negate"})
    if shadowed:
        raise RegistryError(
            f"{where}: fields {shadowed} hide parts of Scorer; use msgspec.field(name=…) and another name"
        )
    if name in found and found[name] is not scorer:
        other = f"{found[name].__module__}.{found[name].__qualname__}"
        raise RegistryError(f"two scorers are called {name!r}: {other} and {where}; rename or uninstall one")
    found[name] = scorer


def _explain(exc: msgspec.ValidationError, scorer: type[Scorer]) -> tuple[str, str]:
    """Message and JSON pointer out of msgspec's text, which is all that it offers."""
    message, _, path = str(exc).partition(" - at `$")
    pointer = "/args" + re.sub(r"\.([^.\[]+)|\[(\d+)\]", r"/\1\2", path.rstrip("`"))
    field = re.search(r"(unknown|missing required) field `([^`]*)`", message)
    if field is None:
        return message[:1].lower() + message[1:], pointer
    name = field[2]
    pointer += "/" + name.replace("~", "~0").replace("/", "~1")
    if field[1] == "unknown":
        known = [each.encode_name for each in msgspec.structs.fields(scorer)] if pointer.count("/") == 2 else []
        return f"there is no argument {name!r}{_near(name, known)}", pointer
    return f"the argument {name!r} is missing", pointer


def _near(name: str, known: Mapping[str, object] | list[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""

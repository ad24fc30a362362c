"""Detect schemas of which two different values may be written as the same document."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

Node: TypeAlias = Mapping[str, Any]

# The kinds of JSON values that a type is written as; `any` may be every one of them.
_ANY = frozenset({"any"})
_NOTHING: frozenset[str] = frozenset()
_KINDS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("str", "date", "time", "datetime", "uuid", "url"), frozenset({"string"})),
    **dict.fromkeys(("multi-host-url", "decimal", "bytes"), frozenset({"string"})),
    **dict.fromkeys(("list", "tuple", "set", "frozenset", "generator"), frozenset({"array"})),
    **dict.fromkeys(("model", "dict", "typed-dict", "dataclass"), frozenset({"object"})),
    "tagged-union": frozenset({"object"}),
    "timedelta": frozenset({"string", "float"}),
    "none": frozenset({"null"}),
    "bool": frozenset({"bool"}),
    "int": frozenset({"int"}),
    "float": frozenset({"float"}),
}
_PLAIN = {str: "string", int: "int", bool: "bool", float: "float", type(None): "null"}

# The names under which nodes keep the schema that they wrap, the one for reading JSON first.
_WRAPPED = ("json_schema", "lax_schema", "schema")

# Types whose text is unambiguous as the name of an object's member.
_NAMES = frozenset(
    {"str", "int", "float", "bool", "decimal", "date", "time", "datetime", "timedelta", "uuid"}
)

# The serializers of Pydantic's own types write values that their validators read back unchanged,
# except for secrets, which are masked, and abstract sequences, which are read as lists.
# `use_enum_values` validates with an attrgetter from `operator`.
_OWN_MODULES = ("pydantic._internal", "pydantic.networks", "pydantic.types", "operator")


def is_ambiguous(nodes: Iterable[Node]) -> bool:
    """Whether any node of a schema leaves open which of its values was written."""
    nodes = list(nodes)
    refs = {node["ref"]: node for node in nodes if "ref" in node}
    return any(_is_ambiguous(node, refs) for node in nodes)


def _is_ambiguous(node: Node, refs: Mapping[str, Node]) -> bool:
    kind: str = node["type"]
    if kind == "dataclass-field" and node.get("init") is False:
        return True  # written, but computed anew on reading
    if _is_written_by_user(node.get("serialization")) or _is_read_by_user(node):
        return True
    if kind == "union":
        return _overlap([_kinds(_first(choice), refs) for choice in node["choices"]])
    if kind == "nullable":
        return "null" in _kinds(node["schema"], refs)
    if kind == "tagged-union":
        # A function may find different tags in the document and in the instance.
        return callable(node["discriminator"])
    if kind == "dict":
        return not _is_name(node.get("keys_schema", {"type": "any"}))
    if kind in ("enum", "literal"):
        kinds = [_kind_of(value) for value in _members(node)]
        return "any" in kinds
    return kind == "generator"  # read as an iterator, which can be consumed only once


def _is_name(node: Node) -> bool:
    return node["type"] in _NAMES or (
        node["type"] in ("enum", "literal")
        and {_kind_of(value) for value in _members(node)}
        in ({"string"}, {"int"} if node["type"] == "enum" else {"string"})
    )


def _is_written_by_user(serialization: Node | None) -> bool:
    function = (serialization or {}).get("function")
    if function is None:
        return False
    name = getattr(function, "__name__", "")
    return not _is_own(function) or "secret" in name or "sequence" in name


def _is_read_by_user(node: Node) -> bool:
    """Whether user code takes part in reading, and may change a value each time."""
    function = node.get("function")
    if isinstance(function, Mapping):
        return not _is_own(function["function"])
    if node["type"] not in ("model", "dataclass"):
        return False
    cls = node["cls"]
    after = getattr(cls, "model_post_init", None) or getattr(cls, "__post_init__", None)
    # Pydantic sets private attributes in this hook, and wraps the user's own.
    is_own = after is None or (
        after.__module__.startswith("pydantic.") and not after.__name__.startswith("wrapped")
    )
    return bool(node.get("custom_init")) or not is_own


def _is_own(function: Any) -> bool:
    if isinstance(function, partial):
        function = function.func
    return (getattr(function, "__module__", None) or "").startswith(_OWN_MODULES)


def _first(choice: Any) -> Node:
    # A choice may be a pair of schema and label.
    node: Node = choice[0] if isinstance(choice, tuple) else choice
    return node


def _overlap(choices: list[frozenset[str]]) -> bool:
    together: frozenset[str] = frozenset().union(*choices)
    return "any" in together or len(together) < sum(map(len, choices))


def _kinds(node: Node, refs: Mapping[str, Node]) -> frozenset[str]:
    """Return the kinds of JSON values that a schema's values are written as."""
    kind = node["type"]
    known = _KINDS.get(kind)
    if "serialization" in node or kind == "json":
        return _ANY
    if known is not None:
        return known
    if kind in ("enum", "literal"):
        kinds = frozenset(map(_kind_of, _members(node)))
        # In a union, many other types accept a number or bool before the enum does.
        return kinds if kinds <= {"string", "null"} else _ANY
    if kind == "nullable":
        return _kinds(node["schema"], refs) | {"null"}
    if kind == "union":
        return _NOTHING.union(*(_kinds(_first(choice), refs) for choice in node["choices"]))
    if kind == "definition-ref":
        target = refs.get(node["schema_ref"])
        return _KINDS.get(target["type"], _ANY) if target else _ANY
    inner = next((node[name] for name in _WRAPPED if isinstance(node.get(name), dict)), None)
    return _kinds(inner, refs) if inner else _ANY


def _members(node: Node) -> list[object]:
    if node["type"] == "literal":
        return list(node["expected"])
    return [member.value for member in node["members"]]


def _kind_of(value: object) -> str:
    return _PLAIN.get(type(value), "any")

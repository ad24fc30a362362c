"""Whether values of a schema may be written as others of it are, so that they are confused."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

Node: TypeAlias = Mapping[str, Any]

# What a value is in JSON; `any` may be each of them.
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

# Where a node keeps the schema of what it wraps: what JSON is read by first.
_WRAPPED = ("json_schema", "lax_schema", "schema")

# Types whose text, as the name of a member, is read as no other value of the type.
_NAMES = frozenset(
    {"str", "int", "float", "bool", "decimal", "date", "time", "datetime", "timedelta", "uuid"}
)

# The serializers of Pydantic's own types write what their validators read, and these leave a value
# that they have read once as it is; but for secrets, which are masked, and sequences of any class,
# which are read as lists. `use_enum_values` reads by an attrgetter.
_OWN_MODULES = ("pydantic._internal", "pydantic.networks", "pydantic.types", "operator")


def is_ambiguous(nodes: Iterable[Node]) -> bool:
    """Whether one of all the nodes of a schema leaves open which of its values was written."""
    nodes = list(nodes)
    refs = {node["ref"]: node for node in nodes if "ref" in node}
    return any(_is_ambiguous(node, refs) for node in nodes)


def _is_ambiguous(node: Node, refs: Mapping[str, Node]) -> bool:
    kind: str = node["type"]
    if kind == "dataclass-field" and node.get("init") is False:
        return True  # it is written, and set anew when it is read
    if _is_written_by_user(node.get("serialization")) or _is_read_by_user(node):
        return True
    if kind == "union":
        return _overlap([_kinds(_first(choice), refs) for choice in node["choices"]])
    if kind == "nullable":
        return "null" in _kinds(node["schema"], refs)
    if kind == "tagged-union":
        # A function may tell another tag from the document than from the instance.
        return callable(node["discriminator"])
    if kind == "dict":
        return not _is_name(node.get("keys_schema", {"type": "any"}))
    if kind in ("enum", "literal"):
        kinds = [_kind_of(value) for value in _members(node)]
        return "any" in kinds
    return kind == "generator"  # it is read as one that can be gone through once


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
    """Whether code of the user's takes part in reading, which may change a value each time."""
    function = node.get("function")
    if isinstance(function, Mapping):
        return not _is_own(function["function"])
    if node["type"] not in ("model", "dataclass"):
        return False
    cls = node["cls"]
    after = getattr(cls, "model_post_init", None) or getattr(cls, "__post_init__", None)
    # Pydantic sets private attributes there, and wraps what the user does.
    is_own = after is None or (
        after.__module__.startswith("pydantic.") and not after.__name__.startswith("wrapped")
    )
    return bool(node.get("custom_init")) or not is_own


def _is_own(function: Any) -> bool:
    if isinstance(function, partial):
        function = function.func
    return (getattr(function, "__module__", None) or "").startswith(_OWN_MODULES)


def _first(choice: Any) -> Node:
    # A choice may have a label beside it.
    node: Node = choice[0] if isinstance(choice, tuple) else choice
    return node


def _overlap(choices: list[frozenset[str]]) -> bool:
    together: frozenset[str] = frozenset().union(*choices)
    return "any" in together or len(together) < sum(map(len, choices))


def _kinds(node: Node, refs: Mapping[str, Node]) -> frozenset[str]:
    """The kinds of JSON that values of a schema are written as."""
    kind = node["type"]
    known = _KINDS.get(kind)
    if "serialization" in node or kind == "json":
        return _ANY
    if known is not None:
        return known
    if kind in ("enum", "literal"):
        kinds = frozenset(map(_kind_of, _members(node)))
        # Many types read a number, or a bool, as theirs before it is taken for a member.
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

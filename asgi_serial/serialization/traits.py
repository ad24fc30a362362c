"""Derive the properties of a type from its schema.

Source: the core schema that Pydantic builds for a type, a tree of dicts with a `type` each.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache, cached_property
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias, cast

from pydantic import ValidationError
from pydantic_core import SchemaValidator

Node: TypeAlias = Mapping[str, Any]

# Members of a node that are not schemas, although they may hold dicts with a `type`.
_NO_SCHEMA = frozenset(
    {"cls", "config", "default", "expected", "members", "metadata", "serialization"}
)

# The types of nodes whose values are deeply immutable.
_IMMUTABLE = frozenset(
    {
        *("none", "bool", "int", "float", "decimal", "str", "bytes", "uuid", "complex"),
        *("date", "time", "datetime", "timedelta", "literal", "enum", "url", "multi-host-url"),
        *("tuple", "frozenset", "nullable", "union", "tagged-union", "default"),
        *("model", "model-fields", "model-field", "definitions", "definition-ref"),
    }
)

# The types of nodes by which Pydantic reads the value of a JSON document as it reads the document,
# unless it is strict: if it accepts the value at all, the results are equal. Those of unions,
# decimals, bytes and durations may differ, and functions are told which of the two is read.
_PLAIN_NODES = frozenset(
    {
        *("none", "bool", "int", "float", "str", "any", "date", "time", "datetime", "uuid"),
        *("literal", "enum", "list", "dict", "tuple", "set", "frozenset", "nullable", "default"),
        *("model", "model-fields", "model-field", "definitions", "definition-ref"),
        *("dataclass", "dataclass-args", "dataclass-field", "typed-dict", "typed-dict-field"),
    }
)
# Members for which a value is read in other ways than JSON, whatever the type of the node.
_NOT_PLAIN = ("strict", "coerce_numbers_to_str", "custom_init", "on_error")

# The `_missing_` of enums that have none of their own.
_FINDS_NONE = cast(Any, Enum._missing_).__func__

# The types of nodes whose values depend on nothing but the document.
_PURE = _IMMUTABLE | {
    "any",
    "computed-field",
    "dict",
    "list",
    "set",
    "typed-dict",
    "typed-dict-field",
}

# Members of a node that its digest treats as lists.
_LISTED = frozenset({"expected", "members", "fields"})
# Members that may differ between processes, and are left out of the digest.
_LOCAL = frozenset({"default", "ref", "schema_ref"})
_PLAIN = str | bytes | int | float


class Traits(NamedTuple):
    """The properties of a type that are known without an instance."""

    is_frozen: bool
    """Whether an instance depends only on the bytes that it is read from, and is immutable."""
    is_plain: bool
    """Whether the value of a JSON document is read, if at all, as the document is."""
    is_pure: bool
    """Whether a value depends only on the document, if that has all fields with a factory."""
    factory_fields: frozenset[str]
    """Fields with a default factory, on which an instance depends if the document lacks them."""
    by_alias: bool | None
    """The value of `by_alias` with which documents can be read back; None for the model's own."""
    round_trip: bool
    """The value of `round_trip`: leave out computed fields that a reader would reject."""
    unreadable: str
    """A field that cannot be read back with either value of `by_alias`, and its name; or empty."""
    fingerprint: bytes
    """A digest of the name and the shape of the type."""


class _Owner(NamedTuple):
    """A node with fields, the config of its class, and the fields by name."""

    node: Node
    config: Mapping[str, Any]
    fields: Mapping[str, Node]


def study(type_: Any, schema: Node | None = None) -> Traits:
    """Return the traits of a type with this schema, by default the one of a model class."""
    root: Node = type_.__pydantic_core_schema__ if schema is None else schema
    nodes = list(_nodes(root))
    types = {node["type"] for node in nodes}
    owners = [_owner(node) for node in nodes if node["type"] in ("model", "dataclass")]
    own_fields: Mapping[str, Any] = getattr(type_, "model_fields", {})
    factory_fields = {name for name, field in own_fields.items() if field.default_factory}
    factories = sum("default_factory" in node for node in nodes)
    by_alias, unreadable = _choose_names(_config_of(type_), owners)
    is_pure = (
        types <= _PURE
        and not any(map(_depends_on_more, nodes))
        and not any(map(_runs_code, owners))
        and factories == sum(map(_factories, owners))
    )
    return Traits(
        is_frozen=is_pure
        and bool(owners)
        and types <= _IMMUTABLE
        and factories == len(factory_fields)
        and all(map(_is_frozen, owners)),
        is_plain=types <= _PLAIN_NODES
        and ("float" not in types or _reads_floats_alike())
        and all(map(_is_plain, nodes)),
        is_pure=is_pure,
        factory_fields=frozenset(factory_fields),
        by_alias=by_alias,
        round_trip="json" in types or any(map(_refuses_computed, owners)),
        unreadable=unreadable,
        fingerprint=_fingerprint(type_, nodes),
    )


def _nodes(root: Node) -> Iterator[Node]:
    """Yield every node of a schema, in an order that depends only on the schema."""
    waiting: list[object] = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if isinstance(part.get("type"), str):
                yield part
            waiting += [inner for name, inner in part.items() if name not in _NO_SCHEMA]
        elif isinstance(part, list | tuple):
            waiting += part


def _owner(node: Node) -> _Owner:
    # The node of a dataclass holds only the names of its fields; an inner node holds the fields.
    inner = node["schema"]
    while "fields" not in inner and isinstance(inner.get("schema"), dict):
        inner = inner["schema"]
    fields = inner.get("fields", {})
    if isinstance(fields, list):
        fields = {field["name"]: field for field in fields}
    return _Owner(node, _config_of(node["cls"]), fields)


def _config_of(cls: Any) -> Mapping[str, Any]:
    return getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}


def _depends_on_more(node: Node) -> bool:
    """Whether a value depends on the time (`FutureDate`), or on code of the application."""
    return (
        "now_op" in node
        or (node["type"] == "enum" and node["cls"]._missing_.__module__ != "enum")
        or callable(node.get("discriminator"))
        or ("default_factory" in node and "on_error" in node)
    )


def _runs_code(owner: _Owner) -> bool:
    # A post_init is also there for private attributes, which are mutable.
    return bool(owner.node.get("custom_init") or owner.node.get("post_init"))


def _factories(owner: _Owner) -> int:
    return sum("default_factory" in field["schema"] for field in owner.fields.values())


def _is_frozen(owner: _Owner) -> bool:
    cls = owner.node["cls"]
    return (
        owner.node["type"] == "model"
        and bool(owner.config.get("frozen"))
        and owner.config.get("extra") != "allow"
        and not any(
            isinstance(vars(base).get(name), cached_property)
            for base in cls.__mro__
            for name in vars(base)
        )
        and all(_is_hashable(field["schema"].get("default")) for field in owner.fields.values())
    )


@cache
def _reads_floats_alike() -> bool:
    """Whether a float is read from an integer beyond 63 bits; before Pydantic 2.12 not in JSON."""
    try:
        SchemaValidator({"type": "float"}).validate_json(b"9223372036854775807")
    except ValidationError:
        return False
    return True


def _is_plain(node: Node) -> bool:
    config = node.get("config") or {}
    # Up to Pydantic 2.12, an enum's own `_missing_`, which all flags have, finds members for
    # numbers that JSON has none for, such as 0.0.
    if node["type"] == "enum" and node["cls"]._missing_.__func__ is not _FINDS_NONE:
        return False
    # An alias is one name, or paths, which lead elsewhere in Python.
    return isinstance(node.get("validation_alias", ""), str) and not any(
        node.get(name) or config.get(name) for name in _NOT_PLAIN
    )


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _refuses_computed(owner: _Owner) -> bool:
    """Whether a reader would treat computed fields, which are written, as extra fields."""
    has_computed = bool(getattr(owner.node["cls"], "model_computed_fields", None))
    return has_computed and owner.config.get("extra") in ("allow", "forbid")


def _choose_names(config: Mapping[str, Any], owners: list[_Owner]) -> tuple[bool | None, str]:
    """Return the value of `by_alias` for writing, and the reason if neither value works."""
    own_choice = bool(config.get("serialize_by_alias"))
    faults = [_misread(owners, by_alias=own_choice), _misread(owners, by_alias=not own_choice)]
    if not faults[0]:
        return None, ""
    return (not own_choice, "") if not faults[1] else (None, faults[0])


def _misread(owners: list[_Owner], *, by_alias: bool) -> str:
    """Describe a field that is not read by the name under which it is written; empty if none."""
    for owner in owners:
        for name, field in owner.fields.items():
            written = field.get("serialization_alias", name) if by_alias else name
            if not field.get("serialization_exclude") and written not in _read_names(
                name, field.get("validation_alias"), owner.config
            ):
                return f"{owner.node['cls'].__qualname__}.{name} is written as {written!r}"
    return ""


def _read_names(name: str, alias: Any, config: Mapping[str, Any]) -> set[str]:
    if alias is None:
        return {name}
    paths = [[alias]] if isinstance(alias, str) else alias
    if paths and not isinstance(paths[0], list):  # a single path
        paths = [paths]
    is_named = config.get("populate_by_name") or config.get("validate_by_name")
    by_alias = {path[0] for path in paths if len(path) == 1}
    return ({name} if is_named else set()) | (
        by_alias if config.get("validate_by_alias", True) else set()
    )


def _fingerprint(type_: Any, nodes: list[Node]) -> bytes:
    """Return a digest of a schema, without functions and addresses, which differ by process."""
    is_class = isinstance(type_, type)
    parts = [type_.__module__, type_.__qualname__] if is_class else [repr(type_)]
    for node in nodes:
        parts.append(getattr(node.get("cls"), "__qualname__", ""))
        for name, value in sorted(node.items()):
            if name in _LISTED:
                parts.append(f"{name}={[_shown(one) for one in value]!r}")
            elif name == "config":
                parts.append(f"config={sorted((key, _shown(one)) for key, one in value.items())!r}")
            elif name not in _LOCAL:
                parts.append(f"{name}={_shown(value)!r}")
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _shown(value: object) -> str:
    if isinstance(value, Enum):
        value = (value.name, value.value)
    if isinstance(value, tuple | list):
        return repr([_shown(one) for one in value])
    return repr(value) if value is None or isinstance(value, _PLAIN) else ""

"""The values that go in and out, in JSON Schema; `openapi` says where. Further fields are allowed everywhere."""

from typing import Any

from dynasor.gateway.limits import Limits

Table = dict[str, Any]


def _object(required: tuple[str, ...] = (), **fields: Table) -> Table:
    found: Table = {"type": "object", "properties": fields}
    return found | {"required": list(required)} if required else found


def _constant(value: str) -> Table:
    return {"type": "string", "const": value}


def _list_of(name: str, **more: Table) -> Table:
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    return _object(("object", "data"), object=_constant("list"), data=items, **more)


def _maybe(schema: Table) -> Table:
    return {"anyOf": [schema, {"type": "null"}]}


_LIMITS = Limits()
_TEXT: Table = {"type": "string"}
_COUNT: Table = {"type": "integer", "minimum": 0}
_WHEN: Table = {"type": "integer", "description": "Seconds of the epoch."}
_ANY: Table = {}
_TOKENS: Table = {"type": "integer", "minimum": 1, "maximum": _LIMITS.max_tokens}

NAME: Table = {"type": "string", "minLength": 1}
PROGRAM_ID: Table = {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"}
HEADERS: dict[str, Table] = {
    "x-dynasor-program-id": PROGRAM_ID,
    "x-session-id": PROGRAM_ID,
    "x-dynamo-session-final": {"type": "string", "enum": ["true", "false"]},
    "x-dynasor-deadline-s": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e6},
}
QUERIES: dict[str, Table] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "after": {"type": "string"},
    "order": {"type": "string", "enum": ["asc", "desc"]},
    "purpose": {"type": "string"},
}

_REASONING = _object(
    program_id=PROGRAM_ID,
    algorithm={"type": "string", "description": "Such as sc, rebase or mcts:parallel=4."},
    cap={"type": "integer", "minimum": 1, "description": "The most branches."},
    policy={"type": "string", "description": "Such as decided or static:threshold=0.7,detect_at=5."},
    deadline_s={"type": "number", "exclusiveMinimum": 0},
    token_budget={"type": "integer", "minimum": 1},
    in_flight={"type": "boolean"},
    alternatives={"type": "boolean", "description": "Tell the other answers and their votes."},
    progress={"type": "string", "enum": ["none", "comments", "events"]},
)
_COMMON: dict[str, Table] = {
    "model": _TEXT,
    "stream": {"type": "boolean"},
    "n": {"type": "integer", "minimum": 1, "maximum": _LIMITS.choices},
    "max_tokens": _TOKENS,
    "temperature": {"type": "number"},
    "program_id": PROGRAM_ID,
    "session_id": _TEXT,
    "reasoning_effort": _TEXT,
    "dynasor": _REASONING,
}
_USAGE = _object(prompt_tokens=_COUNT, completion_tokens=_COUNT, total_tokens=_COUNT)
_COMPLETION: dict[str, Table] = {"choices": {"type": "array"}, "usage": _maybe(_USAGE), "model": _TEXT, "dynasor": _ANY}
_PAGE: dict[str, Table] = {"first_id": _maybe(_TEXT), "last_id": _maybe(_TEXT), "has_more": {"type": "boolean"}}
_INSTANTS = (
    *("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at"),
    "expires_at",
)
_STATUSES = (*("validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"),)

SCHEMAS: dict[str, Table] = {
    "Error": _object(
        ("error",),
        error=_object(
            ("message", "type", "param", "code"),
            message=_TEXT, type=_TEXT, param=_maybe(_TEXT), code=_maybe(_TEXT),
        ),
    ),
    "ChatRequest": _object(
        ("model", "messages"),
        messages={"type": "array", "minItems": 1, "maxItems": _LIMITS.messages, "items": _object(role=_TEXT)},
        max_completion_tokens=_TOKENS,
        **_COMMON,
    ),
    "TextRequest": _object(("model", "prompt"), prompt={"type": ["string", "array"]}, best_of=_COMMON["n"], **_COMMON),
    "ChatCompletion": _object(("choices",), **_COMPLETION),
    "TextCompletion": _object(("choices",), **_COMPLETION),
    "Model": _object(("id",), id=_TEXT, object=_TEXT),
    "ModelList": _list_of("Model"),
    "Program": _object(
        ("id", "object", "status", "in_flight", "requests", "tokens"),
        id=_TEXT, object=_constant("program"), status={"type": "string", "enum": ["open", "closing", "closed"]},
        in_flight=_COUNT, requests=_COUNT, tokens=_COUNT,
    ),
    "Upload": _object(
        ("file", "purpose"), file={"type": "string", "format": "binary"}, purpose=_constant("batch"),
    ),
    "File": _object(
        ("id", "object", "bytes", "created_at", "expires_at", "filename", "purpose"),
        id=_TEXT, object=_constant("file"), bytes=_COUNT, created_at=_WHEN, expires_at=_WHEN, filename=_TEXT,
        purpose=_TEXT,
    ),
    "FileList": _list_of("File", **_PAGE),
    "Deleted": _object(("id", "deleted"), id=_TEXT, object=_constant("file"), deleted={"type": "boolean"}),
    "BatchRequest": _object(
        ("input_file_id", "endpoint", "completion_window"),
        input_file_id=NAME,
        endpoint={"type": "string", "enum": ["/v1/chat/completions", "/v1/completions"]},
        completion_window={"type": "string", "pattern": "^[1-9][0-9]{0,1}[mhd]$"},
        metadata={"type": "object", "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 512}},
    ),
    "Batch": _object(
        ("id", "object", "endpoint", "input_file_id", "completion_window", "status", "created_at", "request_counts"),
        id=_TEXT, object=_constant("batch"), endpoint=_TEXT, input_file_id=_TEXT, completion_window=_TEXT,
        status={"type": "string", "enum": list(_STATUSES)}, created_at=_WHEN,
        request_counts=_object(("total", "completed", "failed"), total=_COUNT, completed=_COUNT, failed=_COUNT),
        output_file_id=_maybe(_TEXT), error_file_id=_maybe(_TEXT), errors=_maybe(_object()),
        metadata=_maybe(_object()), **{name: _maybe(_WHEN) for name in _INSTANTS},
    ),
    "BatchList": _list_of("Batch", **_PAGE),
    "Status": _object(("status",), status=_TEXT),
    "Description": _object(("openapi", "paths"), openapi=_TEXT, paths=_object()),
}  # fmt: skip
"""By the names that references use."""

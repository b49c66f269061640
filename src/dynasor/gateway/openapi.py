"""`GET /openapi.json`: the routes as OpenAPI 3.1 describes them, for client generators, consoles and fuzzers.

It says what is true of every gateway; what a backend makes of a request's further fields is the backend's own. The
dashboard is a page, not an interface, and is not described. It knows no other route's code: a test holds it to them.
"""

from typing import Any

import msgspec

from dynasor import __version__
from dynasor.gateway import openapi_schemas as schemas
from dynasor.gateway.exchange import Exchange

PATH = "/openapi.json"
Table = dict[str, Any]

_REASONS = {
    "400": "What is asked cannot be; `param` names the field.",
    "401": "The key is missing or not known.",
    "403": "Without keys: the request is not from this machine, or from a page of another site.",
    "404": "There is no such thing.",
    "408": "The request came too slowly.",
    "409": "Not in the state that it is in.",
    "413": "The body is too long.",
    "429": "Too much for now; `Retry-After` tells when to come again.",
    "431": "The headers are too large.",
    "500": "Something is wrong here; it was logged.",
    "502": "The backend cannot be reached, or broke off.",
    "503": "No backend answers, or the gateway is shutting down.",
    "504": "The backend took too long.",
}
_ALWAYS = ("400", "408", "431", "500")
_DOOR = ("401", "403")
_ASKS_BACKENDS = ("404", "413", "429", "502", "503", "504")
_LIST_QUERY = ("limit", "after")


class Description:
    """The route. It needs no key: it says nothing of this gateway but whether it has keys."""

    def __init__(self, *, keys: bool) -> None:
        self._document = msgspec.json.encode(document(keys=keys))

    async def __call__(self, exchange: Exchange) -> None:
        """Tell it."""
        await exchange.answer(200, self._document)


def document(*, keys: bool) -> Table:
    """The description of a gateway with keys, or without."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dynasor gateway",
            "version": __version__,
            "description": "OpenAI's API in front of model servers, with reasoning programs, fair shares and batches.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}] if keys else [],
        "paths": _completions() | _models() | _programs() | _files() | _batches() | _standing(keys=keys),
        "components": {
            "schemas": schemas.SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _completions() -> Table:
    chat = "Answer a conversation; passed on to a backend, or answered by a program where it asks for reasoning."
    text = "Continue a text; passed on to a backend, or answered by a program where it asks for reasoning."
    return {
        "/v1/chat/completions": {"post": _completion("chat", chat, "ChatRequest", "ChatCompletion")},
        "/v1/completions": {"post": _completion("complete", text, "TextRequest", "TextCompletion")},
    }


def _completion(id: str, told: str, request: str, answer: str) -> Table:
    whole = _json(answer)
    events: Table = {"text/event-stream": {"schema": {}}}
    passed = {"description": "A backend's refusal is passed on as it is.", "content": {"*/*": {"schema": {}}}}
    return _operation(
        id, told, _ASKS_BACKENDS,
        answers={"200": {"description": "The answer, whole or in events.", "content": whole | events},
                 "default": passed},
        parameters=[_header(name, schema) for name, schema in schemas.HEADERS.items()],
        requestBody={"required": True, "content": _json(request)},
    )  # fmt: skip


def _models() -> Table:
    return {
        "/v1/models": {"get": _operation("models", "All models.", ("502", "503"), "ModelList")},
        "/v1/models/{model}": {
            "get": _operation("model", "One model.", ("404",), "Model", parameters=[_path("model", schemas.NAME)])
        },
    }


def _programs() -> Table:
    parameters = [_path("program", schemas.PROGRAM_ID)]
    seen = "What a client-driven program has had so far."
    return {
        "/v1/programs/{program}": {"get": _operation("program", seen, ("404",), "Program", parameters=parameters)},
        "/v1/programs/{program}/close": {
            "post": _operation("closeProgram", "No more is to come of it.", ("404",), "Program", parameters=parameters)
        },
    }


def _files() -> Table:
    file = [_path("file", schemas.NAME)]
    lists = [_query(name, schemas.QUERIES[name]) for name in ("limit", "after", "order", "purpose")]
    upload = {"required": True, "content": {"multipart/form-data": {"schema": _reference("Upload")}}}
    content = {"200": {"description": "Its content.", "content": {"application/octet-stream": {"schema": {}}}}}
    return {
        "/v1/files": {
            "get": _operation("files", "The tenant's files.", ("404",), "FileList", parameters=lists),
            "post": _operation("upload", "Keep a file.", ("404", "413", "503"), "File", requestBody=upload),
        },
        "/v1/files/{file}": {
            "get": _operation("file", "What a file is.", ("404",), "File", parameters=file),
            "delete": _operation("deleteFile", "Delete a file.", ("404", "409"), "Deleted", parameters=file),
        },
        "/v1/files/{file}/content": {
            "get": _operation("fileContent", "What a file holds.", ("404",), answers=content, parameters=file)
        },
    }


def _batches() -> Table:
    batch = [_path("batch", schemas.NAME)]
    lists = [_query(name, schemas.QUERIES[name]) for name in _LIST_QUERY]
    made = {"required": True, "content": _json("BatchRequest")}
    return {
        "/v1/batches": {
            "get": _operation("batches", "The tenant's batches.", ("404",), "BatchList", parameters=lists),
            "post": _operation("createBatch", "Begin one.", ("404", "413", "429", "503"), "Batch", requestBody=made),
        },
        "/v1/batches/{batch}": {"get": _operation("batch", "How it stands.", ("404",), "Batch", parameters=batch)},
        "/v1/batches/{batch}/cancel": {
            "post": _operation("cancelBatch", "Cut it.", ("404", "409"), "Batch", parameters=batch)
        },
    }


def _standing(*, keys: bool) -> Table:
    text = {"200": {"description": "For Prometheus.", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    open_to_all: Table = {"security": []} if keys else {}
    ready = _operation("ready", "Whether a backend answers and new requests are taken.", ("503",), "Status", door=False)
    return {
        "/health": {"get": _operation("health", "The process lives.", (), "Status", door=False) | open_to_all},
        "/ready": {"get": ready | open_to_all},
        "/metrics": {"get": _operation("metrics", "What was counted.", (), answers=text) | open_to_all},
        PATH: {"get": _operation("describe", "This description.", (), "Description", door=False) | open_to_all},
    }


def _operation(
    id: str, told: str, refusals: tuple[str, ...], answer: str = "", *, answers: Table | None = None,
    door: bool = True, **more: Any,
) -> Table:  # fmt: skip
    """An operation with its answer, and all refusals that there may be."""
    found = answers or {"200": {"description": "As asked for.", "content": _json(answer)}}
    statuses = sorted({*refusals, *_ALWAYS, *(_DOOR if door else ())})
    refused = {status: {"description": _REASONS[status], "content": _json("Error")} for status in statuses}
    return {"operationId": id, "summary": told, "responses": found | refused, **more}


def _json(name: str) -> Table:
    return {"application/json": {"schema": _reference(name)}}


def _reference(name: str) -> Table:
    return {"$ref": f"#/components/schemas/{name}"}


def _path(name: str, schema: Table) -> Table:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: Table) -> Table:
    return {"name": name, "in": "query", "schema": schema}


def _header(name: str, schema: Table) -> Table:
    return {"name": name, "in": "header", "schema": schema}

"""The fields of requests and replies in JSON, in forms and in queries.

A case changes single fields of a request. These functions read and write them in the encoding that the request has. A
suite of a protocol with another encoding, such as XML, has functions of its own in their place.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from minwallet.protocols.wire import FORM_MEDIA_TYPE, JSON_MEDIA_TYPE, HttpRequest


def get_media_type(request: HttpRequest) -> str:
    """Return the media type of the request's body, without parameters. A body without a media type is JSON."""
    given = request.get_header("content-type") or JSON_MEDIA_TYPE
    return given.partition(";")[0].strip().lower()


def read_fields(request: HttpRequest) -> dict[str, Any]:
    """Return the fields of the body, or of the query if the body is empty. Raise ValueError if they cannot be read."""
    if not request.body:
        return dict(parse_qsl(request.query.decode(), keep_blank_values=True))
    if get_media_type(request) == FORM_MEDIA_TYPE:
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    fields = json.loads(request.body)
    if not isinstance(fields, dict):
        raise ValueError("the body is not a JSON object")
    return fields


def write_fields(request: HttpRequest, fields: Mapping[str, object]) -> HttpRequest:
    """Return the request with these fields in place of its own. A list in a form or a query repeats the field."""
    if not request.body:
        return request._replace(query=urlencode(fields, doseq=True).encode())
    if get_media_type(request) == FORM_MEDIA_TYPE:
        return request._replace(body=urlencode(fields, doseq=True).encode())
    return request._replace(body=json.dumps(fields).encode())


def parse_json_object(body: bytes) -> Mapping[str, Any] | None:
    """Return the fields of a JSON object, None if the body is none."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None

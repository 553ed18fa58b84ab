"""The hooks of schemathesis for the admin API; it imports this module by name."""

import schemathesis
from hypothesis import strategies as st
from schemathesis import HookContext

schemathesis.openapi.format("uri", st.sampled_from(["https://a.example", "http://b.example:8080/play"]))


@schemathesis.hook
def map_body(context: HookContext, body: object) -> object:
    """Replace floats such as 1.0, which JSON Schema accepts as integers. This API rejects them, because an amount is
    never a fraction."""
    del context
    if not isinstance(body, dict):
        return body
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in body.items()
    }

"""What schemathesis has to be told about the admin API; it imports this module by name."""

import schemathesis
from hypothesis import strategies as st
from schemathesis import HookContext

schemathesis.openapi.format("uri", st.sampled_from(["https://a.example", "http://b.example:8080/play"]))


@schemathesis.hook
def map_body(context: HookContext, body: object) -> object:
    """To JSON Schema 1.0 is as good an integer as 1; to this API it is not, as an amount is never a fraction."""
    del context
    if not isinstance(body, dict):
        return body
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in body.items()
    }

"""The base of the requests' models."""

from pydantic import BaseModel, ConfigDict


class BaseRequest(BaseModel):
    """A frozen model without unknown fields. The text of its ValidationError has no value, as that may be a secret."""

    # Building the validators of all models takes longer than most commands: each builds only those that it uses.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)

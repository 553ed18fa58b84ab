"""The base of the requests' models."""

from pydantic import BaseModel, ConfigDict


class BaseRequest(BaseModel):
    """A frozen model without unknown fields. Its ValidationError has no value in its text: it may be a secret."""

    # Building the validators of all models takes longer than most commands: each builds only those that it uses.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)

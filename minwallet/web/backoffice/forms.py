"""What was typed into a form, and what is wrong with it: nothing that was typed is lost."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from minwallet.ledger.money import parse_amount
from minwallet.operations.field_help import FIELD_HELP, error_message


class Form(NamedTuple):
    """`errors` has a sentence for each field that will not do; the one of "" is about the whole."""

    values: Mapping[str, str]
    errors: Mapping[str, str]

    @property
    def status(self) -> int:
        """The HTTP status of the page that shows it."""
        return 422 if self.errors else 200

    def with_errors(self, **errors: str) -> "Form":
        return Form(self.values, {**self.errors, **errors})

    def with_failure(self, *reasons: str) -> "Form":
        """The whole was understood and not carried out."""
        return Form(self.values, {**self.errors, "": "; ".join(reasons)})

    def with_validation_error(self, error: ValidationError) -> "Form":
        """What a request's shape has against it, field by field."""
        errors: dict[str, str] = {}
        for each in error.errors(include_url=False):
            name = str(each["loc"][-1]) if each["loc"] else ""
            message = f"it is {FIELD_HELP[name]}" if name in FIELD_HELP else error_message(each)
            errors.setdefault(name, f"{message[:1].upper()}{message[1:]}.")
        return Form(self.values, {**self.errors, **errors})


def parse_amount_field(form: Form, name: str) -> tuple[int, Form]:
    """Cents of the decimal in this field, 0 for an empty one; and the form, with what is wrong with it."""
    text = form.values.get(name, "").strip()
    try:
        return (parse_amount(text) if text else 0), form
    except ValueError as error:
        return 0, form.with_errors(**{name: f"{error}."})

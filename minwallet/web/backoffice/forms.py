"""The values of a submitted form and its errors; a refused form is shown again with both."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from minwallet.ledger.money import parse_amount
from minwallet.operations.field_help import error_message, find_help


class Form(NamedTuple):
    """A submitted form. `errors` maps a field to a sentence; the field "" is the form as a whole."""

    values: Mapping[str, str]
    errors: Mapping[str, str]

    @property
    def status(self) -> int:
        """Return the HTTP status of the page that shows the form."""
        return 422 if self.errors else 200

    def with_errors(self, **errors: str) -> "Form":
        return Form(self.values, {**self.errors, **errors})

    def with_failure(self, *reasons: str) -> "Form":
        """Return the form with an error of the whole: its values are valid, but the operation failed."""
        return Form(self.values, {**self.errors, "": "; ".join(reasons)})

    def with_validation_error(self, error: ValidationError) -> "Form":
        """Return the form with a sentence for each invalid field."""
        errors: dict[str, str] = {}
        for each in error.errors(include_url=False):
            name = str(each["loc"][-1]) if each["loc"] else ""
            field_help = find_help(error.title, name)
            message = f"it must be {field_help}" if field_help else error_message(each)
            errors.setdefault(name, f"{message[:1].upper()}{message[1:]}.")
        return Form(self.values, {**self.errors, **errors})


def parse_amount_field(form: Form, name: str, parse: Callable[[str], int] = parse_amount) -> tuple[int, Form]:
    """Return the cents of a decimal field, 0 if it is empty or invalid; and the form, with an error if invalid."""
    text = form.values.get(name, "").strip()
    try:
        return (parse(text) if text else 0), form
    except ValueError as error:
        message = str(error)
        return 0, form.with_errors(**{name: f"{message[:1].upper()}{message[1:]}."})

"""What was typed into a form, and what is wrong with it: nothing that was typed is lost."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from minwallet.ledger.money import parse_amount
from minwallet.operations.requests import FIELD_HELP, error_message


class Form(NamedTuple):
    """`wrong` has a sentence for each field that will not do; the one of "" is about the whole."""

    typed: Mapping[str, str]
    wrong: Mapping[str, str]

    @property
    def status(self) -> int:
        """The HTTP status of the page that shows it."""
        return 422 if self.wrong else 200

    def but(self, **wrong: str) -> "Form":
        return Form(self.typed, {**self.wrong, **wrong})

    def declined(self, *reasons: str) -> "Form":
        """The whole was understood and not carried out."""
        return Form(self.typed, {**self.wrong, "": "; ".join(reasons)})

    def misunderstood(self, error: ValidationError) -> "Form":
        """What a request's shape has against it, field by field."""
        found: dict[str, str] = {}
        for each in error.errors(include_url=False):
            name = str(each["loc"][-1]) if each["loc"] else ""
            words = f"it is {FIELD_HELP[name]}" if name in FIELD_HELP else error_message(each)
            found.setdefault(name, f"{words[:1].upper()}{words[1:]}.")
        return Form(self.typed, {**self.wrong, **found})


def read_amount(form: Form, name: str) -> tuple[int, Form]:
    """Cents of the decimal in this field, 0 for an empty one; and the form, with what is wrong with it."""
    text = form.typed.get(name, "").strip()
    try:
        return (parse_amount(text) if text else 0), form
    except ValueError as error:
        return 0, form.but(**{name: f"{error}."})

"""The message of an invalid command line: one line in our words, and where the right form is explained.

typer exports only the base class of its errors. So this module tells them apart by their attributes, and takes the rest
from their texts. A text that it does not know is shown as it is, in one line.
"""

import re
import shlex
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from minwallet.operations.line_text import to_printable

_NEGATIVE_NUMBER = re.compile(r"-[0-9.]", re.ASCII)

_TEXTS: Sequence[tuple[re.Pattern[str], str]] = (
    (
        re.compile(r"No such command '(.+?)'\. Did you mean (.+)\?"),
        "unknown command '{0}', did you mean {1}?",
    ),
    (re.compile(r"No such command '(.+)'\."), "unknown command '{0}'"),
    (re.compile(r"Got unexpected extra argument(?:\(s\)|s)? \((.+)\)"), "unexpected argument '{0}'"),
    (re.compile(r"Option '(.+)' does not take a value\."), "{0} takes no value"),
    (re.compile(r"Option '(.+)' requires .+"), "missing value of {0}"),
    (re.compile(r"Missing command\."), "missing command"),
)
"""typer's texts of errors without attributes, and ours."""


class AmountCommand(TyperCommand):
    """A command with an amount. A negative one needs no `--`: its minus does not make it an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 typer does not export its parser's context
        """Parse the arguments as usual. If a negative number is taken for an option, take it for an argument."""
        if self._find_unknown_option(ctx, args):
            others = [each for each in args if not _NEGATIVE_NUMBER.match(each)]
            if error := self._find_unknown_option(ctx, others):
                raise error
            ctx.ignore_unknown_options = True
        return super().parse_args(ctx, args)

    def _find_unknown_option(self, ctx: Any, args: list[str]) -> typer.TyperException | None:  # noqa: ANN401 typer does not export it
        """Return the error about an option that the command does not have, None for any other error."""
        try:
            self.make_parser(ctx).parse_args([*args])
        except typer.TyperException as error:
            return error if hasattr(error, "possibilities") else None
        return None


def is_help(error: typer.TyperException) -> bool:
    """Check if the error is the help of a command that was called without arguments."""
    context = getattr(error, "ctx", None)
    return context is not None and error.message == context.get_help()


def describe_usage_error(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """Return one line: the wrong part of the command line `arguments`, what was expected, and what to do."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "minwallet"
    if getattr(error, "option_name", "") == "--db" and context and context.parent:
        program = context.find_root().command_path
        rest = command.removeprefix(f"{program} ")
        more = " …" if hasattr(context.command, "commands") else ""
        return to_printable(
            f"put --db before the command: {program} --db {_find_value('--db', arguments)} {rest}{more}"
        )
    reason = to_printable(_describe(error))
    return f"{reason}{' see' if reason.endswith('?') else '; see'}: {command} --help"


def _describe(error: typer.TyperException) -> str:
    if hasattr(error, "possibilities"):
        return _describe_unknown_option(error)
    parameter = getattr(error, "param", None)
    if parameter is not None:
        is_option = parameter.param_type_name == "option"
        name = max(parameter.opts, key=len) if is_option else parameter.display_name_raw
        name = "argument" if "|" in name else name  # "a|b" lists the choices
        if hasattr(error, "param_type"):
            return f"missing {name}{_describe_purpose(parameter.help)}"
        return f"invalid {name}{_describe_value(error)}"
    for pattern, words in _TEXTS:
        if found := pattern.fullmatch(error.message):
            return words.format(*found.groups())
    return error.message


def _describe_unknown_option(error: Any) -> str:  # noqa: ANN401 typer does not export its class
    if _NEGATIVE_NUMBER.match(error.option_name):
        return f"unknown option '{error.option_name}'; a negative number is not possible here"
    similar = f", did you mean {error.possibilities[0]}?" if error.possibilities else ""
    return f"unknown option '{error.option_name}'{similar}"


def _describe_purpose(help_text: str | None) -> str:
    """Return the first sentence of the help as the expected value, "" without help."""
    sentence = (help_text or "").partition(". ")[0].partition("  [")[0].removesuffix(".")
    return f" ({sentence[:1].lower()}{sentence[1:]})" if sentence else ""


def _describe_value(error: typer.TyperException) -> str:
    """Return the value in quotes and the rule that it breaks, if typer kept the validation error as the cause."""
    from pydantic import ValidationError

    from minwallet.operations.field_help import error_message

    if not isinstance(error.__cause__, ValidationError):
        return f": {error.message}"
    first = error.__cause__.errors(include_url=False)[0]
    # typer's rule for a choice repeats the value: 'x' is not one of 'cents', 'units'.
    choices = re.search(r" is not one of (.+?)\.?$", first["msg"])
    rule = f"expected {_join_choices(choices[1])}" if choices else error_message(first)
    return f" {str(first['input'])!r}: {rule}"


def _join_choices(quoted: str) -> str:
    *others, last = quoted.replace("'", "").split(", ")
    return f"{', '.join(others)} or {last}" if others else last


def _find_value(option: str, arguments: Sequence[str]) -> str:
    """Return the value that follows the option, quoted for a shell; PATH if there is none."""
    # The last one counts: the first may stand before the command, where it belongs.
    for word, following in reversed([*zip(arguments, [*arguments[1:], "PATH"], strict=True)]):
        if word == option:
            return shlex.quote(following)
        if word.startswith(f"{option}="):
            return shlex.quote(word.partition("=")[2])
    return "PATH"

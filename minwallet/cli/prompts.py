"""Questions on the terminal. A question without an answer ends the command with one line, never with a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from minwallet.cli.output import CommandRefused, UsageError, print_error

EXIT_INTERRUPTED = 130

NOTHING_CHANGED = "nothing was changed"


@contextmanager
def asking(*, hidden: bool = False) -> Iterator[None]:
    """Ask a question of typer's within the block, `hidden` if it has no echo.

    Exit with the code of an interrupted command after Ctrl-C. Raise CommandRefused if the input ends (Ctrl-D), and
    UsageError if it is not text.
    """
    try:
        yield
    except typer.Abort as abort:
        if not hidden:  # typer itself ends the line of a hidden question
            print_error("")
        # typer has one exception for both. It suppresses the cause, but the context keeps it.
        if isinstance(abort.__context__, KeyboardInterrupt):
            print_error(f"minwallet: cancelled; {NOTHING_CHANGED}")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        raise CommandRefused([f"the input ended before the answer; {NOTHING_CHANGED}"]) from None
    except UnicodeDecodeError as error:
        print_error("")
        raise UsageError(f"the typed text is not {error.encoding.upper()}; {NOTHING_CHANGED}") from None

"""Exceptions of a protocol's own code, as sentences.

A protocol may lack a command or a method, or have a bug. A command or a page that builds one of its requests must say
so, instead of ending with a traceback.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from minwallet.operations.errors import OperationError


@contextmanager
def explain_protocol_fault(protocol: str, action: str) -> Iterator[None]:
    """Raise OperationError in place of any exception in the block: this protocol cannot do `action`.

    The exception is its cause. ValueError means that the protocol has no such command, NotImplementedError that it
    lacks the method. Any other type is a bug, so the sentence names it.
    """
    try:
        yield
    except NotImplementedError as error:
        raise OperationError(f"protocol '{protocol}' cannot {action}: its package does not implement this") from error
    except Exception as error:
        is_bug = not isinstance(error, ValueError) or not str(error)
        line = " ".join((f"{type(error).__name__}: {error}" if is_bug else str(error)).split())[:200]
        raise OperationError(f"protocol '{protocol}' cannot {action}: {line.removesuffix(':')}") from error

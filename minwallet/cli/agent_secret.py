"""`minwallet agent secret`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from minwallet.cli.dispatch import execute, query
from minwallet.cli.options import AgentNameArgument, JsonOption, WideOption
from minwallet.cli.output import UsageError, print_error, print_json, print_line, print_table
from minwallet.cli.prompts import asking
from minwallet.cli.text_lines import name_file, read_text

WEAK_LENGTH = 16
"""Shorter secrets get a warning, not an error: a provider's specification may require one."""

MAX_SECRET_BYTES = 3 + 256 + 2
"""The longest file with a secret: a byte order mark, the longest valid secret, and a line end of Windows."""

app = typer.Typer(help="Manage the secrets that sign provider calls.", no_args_is_help=True)

ProtocolArgument = Annotated[str, typer.Argument(metavar="PROTOCOL", help="The protocol whose calls are signed.")]


@app.command("add")
def add(
    context: typer.Context,
    name: AgentNameArgument,
    protocol: ProtocolArgument,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="FILE",
            allow_dash=True,
            help="Read the secret from this file; - reads standard input.  [default: ask for it]",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a secret with which the provider signs its calls.

    An agent can have several secrets for a protocol at once. A secret is never shown again: lists have its fingerprint.
    No option takes the secret itself, because other users of the machine can see the options of a command.

    Example: minwallet agent secret add default acme --from-file acme.secret
    """
    from minwallet.operations.access_requests import ProtocolSecretAdd

    secret = _read_secret(file) if file else _ask_for_secret()
    reply = execute(context, ProtocolSecretAdd(agent=name, protocol=protocol, secret=secret))
    if as_json:
        print_json(reply)
    else:
        print_line(f"secret {reply['fingerprint']} of agent {name} for {protocol} is valid")
    if len(secret) < WEAK_LENGTH:
        print_error(
            f"this secret has only {len(secret)} characters and can be guessed; ask the provider for a longer one"
        )


@app.command("list")
def list_(
    context: typer.Context,
    name: AgentNameArgument = "default",
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """List an agent's secrets, revoked ones included.

    The list shows only the fingerprint of each secret.

    Example: minwallet agent secret list default
    """
    from minwallet.operations.access_requests import ProtocolSecretList

    reply = query(context, ProtocolSecretList(agent=name))
    if as_json:
        print_json(reply)
        return
    rows = [
        (each["protocol"], each["fingerprint"], each["created_at"], each["created_by"], each["revoked_at"])
        for each in reply["protocol_secrets"]
    ]
    empty = f"no secrets yet; add one with: minwallet agent secret add {name} PROTOCOL"
    print_table(["protocol", "fingerprint", "created", "created by", "revoked"], rows, empty, wide=wide)


@app.command("revoke")
def revoke(
    context: typer.Context,
    name: AgentNameArgument,
    protocol: ProtocolArgument,
    fingerprint: Annotated[
        str, typer.Argument(metavar="FINGERPRINT", help="The first characters of the secret's fingerprint.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Revoke a secret and delete its text.

    Calls that are signed with it are refused immediately. No other live secret of the agent for this protocol may have
    a fingerprint that begins with the same characters.

    Example: minwallet agent secret revoke default acme 5d0c81f2
    """
    from minwallet.operations.access_requests import ProtocolSecretRevoke

    reply = execute(context, ProtocolSecretRevoke(agent=name, protocol=protocol, fingerprint=fingerprint))
    if as_json:
        print_json(reply)
    else:
        print_line(f"secret {reply['fingerprint']} of agent {name} for {protocol} is revoked")


def _read_secret(file: Path) -> str:
    """Return the secret in a file, without the line end. Raise UsageError if the file is unreadable, or is too long."""
    from minwallet.operations.field_help import FIELD_HELP

    text = read_text(file, MAX_SECRET_BYTES)
    if text is None:
        raise UsageError(f"the secret in {name_file(file)} is too long: expected {FIELD_HELP['secret']}")
    # Other white space is a mistake, which the rule for secrets finds.
    return text.removesuffix("\n").removesuffix("\r")


def _ask_for_secret() -> str:
    """Return the secret that a person types twice, without an echo. Raise UsageError without a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("no terminal to ask for the secret; use --from-file FILE, or --from-file - for standard input")
    with asking(hidden=True):
        secret: str = typer.prompt("secret", hide_input=True, confirmation_prompt="the same again", err=True)
    return secret

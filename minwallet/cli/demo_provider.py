"""`minwallet demo-provider`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.options import TimeoutOption, parse_timeout_option
from minwallet.cli.output import UsageError
from minwallet.cli.text_lines import iter_text_lines
from minwallet.ledger.money import MAX_ID

if TYPE_CHECKING:
    from minwallet.demo.faults import FaultRates

SeedOption = Annotated[int | None, typer.Option("--seed", help="Seed of the random numbers, to repeat the same games.")]
FaultsOption = Annotated[
    str, typer.Option("--faults", metavar="FAULTS", help="Faults with their rates: lost-reply,delay=0.1,… or all.")
]

SecretFileOption = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        metavar="FILE",
        allow_dash=True,
        help="The file with the secret that signs the calls, for protocols with signed calls; - is standard input.",
    ),
]


def demo_provider(
    wallet: Annotated[str, typer.Option("--wallet", metavar="URL", help="The wallet's URL, with its callback key.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 picks a free one.")] = 8100,
    host_id: Annotated[str, typer.Option("--host-id", help="The operator's id in game lists and reports.")] = "demo",
    wallet_token: Annotated[
        str | None,
        typer.Option(
            "--wallet-token",
            help="The operator's wallet token. The calls name it if the protocol has paths with a wallet token.",
        ),
    ] = None,
    secret_file: SecretFileOption = None,
    seed: SeedOption = None,
    faults: FaultsOption = "",
    report_page: Annotated[int, typer.Option("--report-page", min=1, help="Number of rows in a report page.")] = 100,
    timeout: TimeoutOption = "2s",
    first_id: Annotated[
        int | None,
        typer.Option("--first-id", min=1, max=MAX_ID // 2, help="The first id to use.  [default: from the clock]"),
    ] = None,
) -> None:
    """Run a small game provider that calls a wallet.

    It listens on 127.0.0.1 only, and serves three games, a game list and a report.

    Example: minwallet demo-provider --wallet http://127.0.0.1:8000 --seed 7
    """
    from minwallet.demo.dealer import list_played_protocols
    from minwallet.demo.provider_server import ProviderOptions, serve_provider
    from minwallet.web.listeners import open_listener

    fault_rates = parse_fault_rates(faults)
    options = ProviderOptions(
        _validate_wallet_url(wallet),
        host_id,
        wallet_token,
        seed,
        fault_rates,
        report_page,
        parse_timeout_option(timeout),
        first_id,
        _read_secrets(secret_file),
    )

    def print_status(words: str) -> None:
        typer.echo(words, err=True)

    with open_listener("127.0.0.1", port, "--port") as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print_status(f"minwallet's demo provider serves three games at {url} (stop it with Ctrl-C)")
        print_unplayed_protocols()
        signed = _list_signed_protocols()
        if signed and not options.secrets:
            print_status(f"without --secret-file, only guests can play {', '.join(signed)}")
        example = f'{{"protocol":"{list_played_protocols()[0]}","game":"slot","token":"TOKEN","rounds":100}}'
        print_status(
            f"open it in a browser, or play with a session of the wallet:\n  curl -d '{example}' {url}/demo/play"
        )
        serve_provider(options, listener, print_status)


def parse_fault_rates(faults: str) -> "FaultRates":
    """Parse the value of `--faults`. Raise UsageError if it is invalid."""
    from minwallet.demo.faults import parse_fault_rates

    try:
        return parse_fault_rates(faults)
    except ValueError as error:
        raise UsageError(f"--faults: {error}") from error


def read_secret(file: Path) -> str:
    """Return the secret in a file, without the white space around it. Raise UsageError if there is none."""
    secret = "".join(iter_text_lines(file)).strip()
    if not secret:
        raise UsageError(f"--secret-file: '{file}' is empty; write the secret that `minwallet agent secret add` has")
    return secret


def _read_secrets(file: Path | None) -> dict[str, str]:
    """Return the secret of the file for each protocol that signs its calls, nothing without a file."""
    return dict.fromkeys(_list_signed_protocols(), read_secret(file)) if file else {}


def _list_signed_protocols() -> list[str]:
    from minwallet.demo.dealer import list_played_protocols
    from minwallet.protocols.registry import load_protocol

    return [name for name in list_played_protocols() if load_protocol(name).signature]


def print_unplayed_protocols() -> None:
    """Print a line for each installed protocol that the demo provider does not play."""
    from minwallet.demo.dealer import explain_unplayed
    from minwallet.protocols.registry import list_protocols

    for line in filter(None, map(explain_unplayed, list_protocols())):
        typer.echo(line, err=True)


def _validate_wallet_url(wallet: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", wallet):
        raise UsageError(f"invalid --wallet {wallet!r}: must be a URL such as http://127.0.0.1:8000")
    return wallet

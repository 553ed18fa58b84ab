"""`minwallet demo-provider`."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.output import UsageError
from minwallet.ledger.money import MAX_ID

if TYPE_CHECKING:
    from minwallet.demo.faults import FaultRates

SeedOption = Annotated[int | None, typer.Option("--seed", help="The same seed plays the same games.")]
FaultsOption = Annotated[
    str, typer.Option("--faults", metavar="WAYS", help="lost-reply,delay=0.1,… (with their odds), or all.")
]


def demo_provider(
    wallet: Annotated[str, typer.Option("--wallet", metavar="URL", help="The wallet to call, with its callback key.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port, 0 for a free one.")] = 8100,
    host_id: Annotated[str, typer.Option("--host-id", help="How vela knows the operator.")] = "demo",
    wallet_token: Annotated[
        str | None, typer.Option("--wallet-token", help="How wallet-v2 knows the operator: calls /wallet/TOKEN.")
    ] = None,
    seed: SeedOption = None,
    faults: FaultsOption = "",
    report_page: Annotated[int, typer.Option("--report-page", min=1, help="How many rows a page has.")] = 100,
    timeout: Annotated[str, typer.Option("--timeout", help="How long to wait for the wallet: 500ms, 2s.")] = "2s",
    first_id: Annotated[
        int | None, typer.Option("--first-id", min=1, max=MAX_ID // 2, help="Where ids begin, if not at the clock.")
    ] = None,
) -> None:
    """Run a small game provider. It calls the wallet, and listens to this machine only."""
    from minwallet.app import open_listener
    from minwallet.demo.provider_server import ProviderOptions, serve_provider

    fault_rates = parse_fault_rates(faults)
    options = ProviderOptions(
        _validate_wallet_url(wallet),
        host_id,
        wallet_token,
        seed,
        fault_rates,
        report_page,
        _parse_timeout(timeout),
        first_id,
    )

    def print_status(words: str) -> None:
        typer.echo(words, err=True)

    with open_listener("127.0.0.1", port, "--port") as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print_status(f"minwallet's demo provider serves three games at {url} (stop it with Ctrl-C)")
        example = '{"protocol":"vela","game":"slot","token":"TOKEN","rounds":100}'
        print_status(
            f"open that in a browser, or play with a session of the wallet:\n  curl -d '{example}' {url}/demo/play"
        )
        serve_provider(options, listener, print_status)


def parse_fault_rates(faults: str) -> "FaultRates":
    """What `--faults` asks for."""
    from minwallet.demo.faults import parse_fault_rates

    try:
        return parse_fault_rates(faults)
    except ValueError as error:
        raise UsageError(f"--faults: {error}") from error


def _validate_wallet_url(wallet: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", wallet):
        raise UsageError(f"--wallet: {wallet!r} is not an address; write it like http://127.0.0.1:8000")
    return wallet


def _parse_timeout(timeout: str) -> float:
    match = re.fullmatch(r"([0-9]{1,6})(ms|s)", timeout, re.ASCII)
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--timeout: {timeout!r} is not a length of time; write it like 500ms or 2s")
    return int(match[1]) / (1000 if match[2] == "ms" else 1)

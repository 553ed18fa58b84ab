"""A protocol with a call for each command of the ledger, for tests. A request is the command as JSON."""

import json
from types import MappingProxyType
from typing import Any

from minwallet.ledger.commands import (
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Command,
    EndRound,
    Group,
    Rollback,
    RollbackRound,
    Settle,
    Win,
)
from minwallet.ledger.outcomes import Outcome, Unauthenticated
from minwallet.protocols.wire import AccountHolder, Call, HttpRequest, HttpResponse, Malformed, WireProtocol, WireRoute

COMMANDS: dict[str, type[Any]] = {
    each.__name__.lower(): each
    for each in (Authenticate, Balance, Bet, BetWin, Cancel, EndRound, Rollback, RollbackRound, Settle, Win)
}


class EveryCommand(WireProtocol):
    """The name of a call is that of its command. `batch` takes a bet and its win, `wins` only wins."""

    name = "every"
    routes = (WireRoute("PUT", "/every/{wallet_token}/calls"),)
    operations = MappingProxyType({**COMMANDS, "batch": Group, "wins": Group})

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        fields = json.loads(request.body)
        operation = fields["operation"]
        if operation in COMMANDS:
            return Call(operation, fields["token"], COMMANDS[operation](**fields["command"]))
        group = Group(tuple(COMMANDS[name](**command) for name, command in fields["command"]))
        if operation == "batch" and [type(each) for each in group.commands] != [Bet, Win]:
            return Malformed(operation, 1, "not a bet and its win")
        return Call(operation, fields["token"], group)

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        del now_ms
        if call.operation == "wins" and any(type(each) is not Win for each in _list_commands(call.command)):
            raise ValueError("only wins")
        command: object = call.command._asdict()
        if isinstance(call.command, Group):
            command = [(type(each).__name__.lower(), each._asdict()) for each in call.command.commands]
        body = json.dumps({"operation": call.operation, "token": call.token, "command": command})
        return HttpRequest("PUT", f"/every/{wallet_token}/calls", body=body.encode())

    def render(
        self, call: Call, outcome: Outcome | Unauthenticated, holder: AccountHolder | None, now_ms: int
    ) -> HttpResponse:
        raise AssertionError

    def render_error(self, malformed: Malformed, now_ms: int) -> HttpResponse:
        raise AssertionError


def _list_commands(command: Command) -> tuple[Command, ...]:
    return command.commands if isinstance(command, Group) else (command,)

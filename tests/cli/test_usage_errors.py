"""An invalid command line gets one line in our words: what is wrong, what was expected, what to do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.support import BUILT_APP, CommandResult, InProcessCli

LIBRARY_TEXT = re.compile(
    r"Usage:|Error:|Try |Input should|Value error|Invalid value|No such (?:option|command)|Missing |Got unexpected"
    r"|requires an argument|not a valid|pydantic|Traceback"
)


def _list_commands(node: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 typer does not export its commands
    for name, each in getattr(node, "commands", {}).items():
        yield from _list_commands(each, (*words, name))
    if not hasattr(node, "commands"):
        yield " ".join(words), node


COMMANDS = dict(_list_commands(BUILT_APP))


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> InProcessCli:
    """Create a wallet with the player ann, and with zoe at another agent."""
    cli = InProcessCli(tmp_path_factory.mktemp("usage") / "w.db")
    cli("player", "add", "ann", "--currency", "USD", "--balance", "10")
    cli("agent", "add", "brand2")
    cli("player", "add", "zoe", "--currency", "USD", "--agent", "brand2")
    return cli


def _assert_own_words(result: CommandResult, *words: str) -> None:
    assert_error_line(result, 2, *words)
    assert not LIBRARY_TEXT.search(result.err), result.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_usage_in_one_line(cli: InProcessCli, name: str) -> None:
    """Missing, extra and unknown arguments, and options without, with too much or with a wrong value: each is named."""
    command, words = COMMANDS[name], name.split()
    arguments = ["ann" for each in command.params if each.param_type_name == "argument"]
    help_hint = f"see: minwallet {name} --help"
    with assert_unchanged(cli.db.parent):
        if any(each.required for each in command.params):
            _assert_own_words(cli.run(*words), "missing ", help_hint)
        _assert_own_words(cli.run(*words, "--nope"), "unknown option '--nope'", help_hint)
        _assert_own_words(cli.run(*words, *arguments, "extra", "more"), help_hint)
        _assert_own_words(cli.run(*words, "--db", "x"), f"put --db before the command: minwallet --db x {name}")
        for option in command.params:
            if option.param_type_name == "option":
                _assert_option_is_explained(cli, words, option)


def _assert_option_is_explained(cli: InProcessCli, words: list[str], option: Any) -> None:  # noqa: ANN401 typer does not export it
    name = max(option.opts, key=len)
    if option.is_flag:
        _assert_own_words(cli.run(*words, f"{name}=x"), f"{name} takes no value")
        return
    _assert_own_words(cli.run(*words, name), f"missing value of {name}")
    if option.type_descriptor.annotation in (int, float):
        found = cli.run(*words, f"{name}=bad")
        _assert_own_words(found, f"{name} 'bad'" if "invalid" in found.err else "missing ")


CASES = {
    "player lst": "unknown command 'lst', did you mean 'list'? see: minwallet player --help",
    "nope": "unknown command 'nope'; see: minwallet --help",
    "--nope verify": "unknown option '--nope'; see: minwallet --help",
    "player --db x list": "put --db before the command: minwallet --db x player …",
    "player list --db=x": "put --db before the command: minwallet --db x player list",
    "player list ann": "unexpected argument 'ann'; see: minwallet player list --help",
    "deposit ann -5": "invalid amount '-5': must not be negative; to take money, use withdraw or adjust",
    "withdraw ann -5.00": "invalid amount '-5.00': must not be negative; to add money, use deposit or adjust",
    "deposit ann 12.505": "invalid amount '12.505': at most two decimals",
    "deposit ann 0": "invalid amount 0: expected more than 0 and at most 92233720368547758.07",
    "deposit ann 5 --bonsu": "unknown option '--bonsu', did you mean --bonus",
    "adjust ann -5 --reson x": "unknown option '--reson', did you mean --reason",
    "limit set ann deposit day -5": "invalid amount '-5': must not be negative",
    "limit set ann win day 5": "invalid KIND 'win': expected deposit or loss; see: minwallet limit set --help",
    "player add bob --currency US": "invalid currency 'US': expected 3 to 10 of A-Z 0-9, such as USD",
    "player add bob --currency USD --balance x": "invalid amount 'x': write it like 12 or 12.50",
    "ledger ann --limit 0": "invalid limit 0: expected between 1 and 1,000,000",
    "ledger ann --limit x": "invalid --limit 'x': must be a whole number; see: minwallet ledger --help",
    "show -5": "unknown option '-5'; a negative number is not possible here; see: minwallet show --help",
    "key add k --scope all": "invalid --scope 'all': expected read or write; see: minwallet key add --help",
    "session open ann --ttl 1y": "invalid duration '1y'",
    "report pull --timeout x": "invalid --timeout 'x': write 500ms, 10s or 2m",
    "agent set default --service-url x": "invalid service_url 'x': expected an address such as https://",
    "seed none.csv": "none.csv",
    "export X": "invalid argument 'X': expected ledger or players; see: minwallet export --help",
    "--db postgresql://me:pw@host/w player list": "a wallet on PostgreSQL is not supported yet; name a SQLite file",
}


@pytest.mark.parametrize("command", CASES)
def test_an_invalid_value_is_quoted_with_what_was_expected(cli: InProcessCli, command: str) -> None:
    _assert_own_words(cli.run(*command.split(" ")), CASES[command])


def test_a_typed_line_break_does_not_break_the_line(cli: InProcessCli) -> None:
    typed = "a\nb"
    for words in (("player", typed), ("player", "list", typed), ("verify", f"--{typed}"), ("tail", f"-n={typed}")):
        _assert_own_words(cli.run(*words), "a\\")


PLAYER_COMMANDS = (
    "deposit zoe 1",
    "withdraw zoe 1",
    "adjust zoe 1 --reason r",
    "player show zoe",
    "player block zoe",
    "player exclude zoe --until 2099-01-01",
    "session open zoe",
    "session list zoe",
    "ledger zoe",
    "limit list zoe",
    "limit set zoe deposit day 5",
)


@pytest.mark.parametrize("command", PLAYER_COMMANDS)
def test_the_agent_that_has_the_player_is_named(cli: InProcessCli, command: str) -> None:
    expected = "unknown player 'zoe' (agent default); agent brand2 has one: add --agent brand2\n"
    assert cli.run(*command.split()) == (1, "", f"minwallet: {expected}")


def test_all_agents_that_have_the_player_are_named(cli: InProcessCli) -> None:
    cli("agent", "add", "brand3")
    for agent in ("brand2", "brand3"):
        cli("player", "add", "kim", "--currency", "USD", "--agent", agent)
    found = cli.run("player", "show", "kim")
    assert_error_line(found, 1, "(agent default); agents brand2, brand3 have one: add --agent with one of them")


def test_a_group_without_a_command_shows_its_help(tmp_path: Path) -> None:
    shown = InProcessCli(tmp_path / "w.db").run("player")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith("Usage: minwallet player")

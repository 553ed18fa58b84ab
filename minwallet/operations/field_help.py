"""The texts about the fields of requests: what a valid value looks like, and what the field means.

The CLI, the back office, the admin API and its documentation take their texts from here.
"""

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

FIELD_HELP: Mapping[str, str] = {
    "agent": "1 to 40 of A-Z a-z 0-9 _ . -",
    "name": "1 to 40 of A-Z a-z 0-9 _ . -, but not only dots",
    "player_id": "1 to 40 of A-Z a-z 0-9 _ . @ -",
    "currency": "3 to 10 of A-Z 0-9, such as USD",
    "token": "1 to 40 of A-Z a-z 0-9 _",
    "wallet_token": "1 to 40 of A-Z a-z 0-9 _",
    "host_id": "1 to 128 printable ASCII characters without spaces",
    "service_url": "an address such as https://api.example.com, without a query",
    "game_url": "an address such as https://games.example.com/play",
    "report_unit": "cents or units",
    "status": "active or blocked",
    "game": "1 to 64 printable ASCII characters without spaces",
    "fingerprint": "the first characters of a fingerprint, as the list of the agent's secrets shows it",
    "secret": "4 to 256 printable ASCII characters without spaces",
    "key_prefix": "the beginning of a callback key, as the list of the agent's callback keys shows it",
    "lang": "a language, such as en or pt-BR",
    "seq": "the number of an entry, as the ledger shows it",
    "reference": "1 to 64 printable ASCII characters, with no space at the start or the end",
    "reason": "up to 200 characters on one line",
    "scope": "read or write",
    "session": "the number of a session, as the list of the player's sessions shows it",
    "ttl_s": "between 1s and 100 years",
    "limit": "between 1 and 1,000,000",
    "amount": "more than 0 and at most 92233720368547758.07",
    "PlayerAdd.player_id": "1 to 40 of A-Z a-z 0-9 _ . @ -, but not only dots",
    "TransactionFilter.protocol": "the name of a protocol, 1 to 20 of a-z 0-9 -",
    "TransactionPageRequest.protocol": "the name of a protocol, 1 to 20 of a-z 0-9 -",
    "SeedRow.player_id": "1 to 40 of A-Z a-z 0-9 _ . @ -, but not only dots",
    "PlayerList.status": "active, blocked or excluded",
    "PlayerSearch.status": "active, blocked or excluded",
    "ProtocolSecretAdd.protocol": "the name of a protocol",
    "ProtocolSecretRevoke.protocol": "the name of a protocol",
    "Adjustment.amount": "between -92233720368547758.07 and 92233720368547758.07, and not 0",
    "Adjustment.reason": "1 to 200 characters on one line, not only spaces",
}
"""The valid form of a value, by field, or by request and field where a request differs.

Each text completes "expected …" and "It must be …".
"""

FIELD_MEANINGS: Mapping[str, str] = {
    "after": "where to continue: the `next` of the previous page",
    "agent": "the agent's name",
    "amount": "in cents",
    "balance": "initial cash, in cents",
    "before": "where to continue: the `next` of the previous page",
    "bonus": "initial bonus, in cents",
    "fingerprint": "the beginning of the fingerprint, as the list shows it",
    "game": "the provider's code of the game",
    "game_url": "where games are launched, if the provider has no game list",
    "host_id": "the agent's id in a provider's game list and report, from the provider",
    "id": "as the provider or the operator gave it",
    "limit": "the maximum length of the page",
    "key_prefix": "the beginning of the key, as the list shows it",
    "name": "the agent's name",
    "protocol": "a provider's protocol, or operator or opening: the operator's own",
    "reason": "is stored with the transaction",
    "reference": "your own id of the transaction; a repeated one changes nothing",
    "report_unit": "the unit of amounts in the provider's report",
    "seq": "the transaction's number",
    "service_url": "where the provider serves game list and report",
    "session": "the session's number",
    "since": "the earliest time, such as 2026-11-21T10:00:00Z",
    "text": "a part of the player's id",
    "ttl_s": "the session's lifetime in seconds; 24 hours by default",
    "until": "the first time after the range",
    "wallet_token": "the agent's id in the wallet URL",
    "Adjustment.amount": "in cents; negative to take money",
    "Adjustment.bonus": "adjust bonus instead of cash",
    "Adjustment.currency": "required if the player has several currencies",
    "DemoLaunchRequest.protocol": "",
    "ProtocolSecretAdd.protocol": "the protocol whose calls are signed",
    "ProtocolSecretAdd.secret": "as the provider gave it; it is not shown again",
    "ProtocolSecretRevoke.protocol": "the protocol of the secret",
    "LaunchRequest.currency": "required if the player has several currencies",
    "LaunchRequest.protocol": "",
    "LimitSet.amount": "in cents; null for no limit",
    "LimitSet.currency": "required if the player has several currencies",
    "PlayerSearch.status": "active: neither blocked nor excluded",
    "PlayerExclude.until": "such as 2027-01-31T00:00:00Z; null to end the exclusion",
    "SessionOpen.currency": "required if the player has several currencies",
    "TotalsRequest.since": "the first day, such as 2026-11-01",
    "TotalsRequest.until": "the day after the last",
    "Transfer.bonus": "move bonus instead of cash",
    "Transfer.currency": "required if the player has several currencies",
}
"""The meaning of a field, by field, or by request and field where a request differs."""


def find_help(request: str, field: str) -> str | None:
    """Return the valid form of the field of this request, None if no text describes it."""
    return FIELD_HELP.get(f"{request}.{field}", FIELD_HELP.get(field))


def find_meaning(request: str, field: str) -> str:
    """Return the meaning of the field of this request. Return "" if the name says it all."""
    return FIELD_MEANINGS.get(f"{request}.{field}", FIELD_MEANINGS.get(field, ""))


_RULES: Mapping[str, str] = {
    "missing": "required",
    "extra_forbidden": "unknown field",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of at most 40 digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_pattern_mismatch": "has characters that are not possible here",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "json_invalid": "must be JSON",
}
"""Our words for pydantic's types of errors. The placeholders are filled from the error's context."""


def error_message(error: ErrorDetails) -> str:
    """Return the rule that one value breaks, in our words, such as `must be at least 1`.

    A rule of our own is the text of its ValueError, in lower case. A type of error without words here gets the general
    `is not valid`, never the text of the library.
    """
    if error["type"] == "value_error":
        words = str(error["ctx"]["error"]) if "ctx" in error else error["msg"].removeprefix("Value error, ")
        return words[:1].lower() + words[1:]
    rule = _RULES.get(error["type"], "is not valid")
    # The names of choices are in quotes: 'active' or 'blocked'.
    return rule.format_map(error.get("ctx", {})).replace("'", "")


def format_validation_error(error: ValidationError) -> str:
    """Return one line about the first invalid field: its name, the value, and what was expected.

    A value of several parts is left out: it is long, and may contain tokens. A secret is left out too.
    """
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][-1]) if first["loc"] else "request"
    field_help = find_help(error.title, name)
    expected = f"expected {field_help}" if field_help else error_message(first)
    value = "" if isinstance(first["input"], dict | list) or name == "secret" else f" {first['input']!r}"
    return f"invalid {name.removesuffix('_s')}{value}: {expected}"

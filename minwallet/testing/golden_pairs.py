"""Golden pairs: requests of a provider with the exact replies of a wallet, in a JSON file.

The file has `player_id`, `currency` and `pairs`. Each pair stands alone: it is about a new player of a new agent.

- `name`: the name of the pair.
- `cash`, `bonus`: the player's money in cents before it; without them 0.
- `calls`: requests that are sent before it, in order.
- `request`: `method`, `path`, and optionally `query` (text), `headers` (an object), and the body as `json` (a
  document), `form` (an object) or `text`.
- `reply`: the body as `json` or `text`, and optionally `status`, which is 200 otherwise.
- `ignored`: names of fields of the request that the wallet ignores, at any depth.

In all texts `{session}` stands for the token of the player's live session, `{revoked}` for that of a revoked one, and
`{other}` for the session of another player of the agent. In a reply, the text `{any}` stands for any value.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from minwallet.protocols.wire import (
    FORM_MEDIA_TYPE,
    JSON_MEDIA_TYPE,
    HttpRequest,
    HttpResponse,
    Malformed,
    WireProtocol,
)
from minwallet.testing.caller import Caller, parse_request
from minwallet.testing.temporary_wallet import TemporaryWallet

PAIR_FIELDS = {"name", "cash", "bonus", "calls", "request", "reply", "ignored"}
REQUEST_FIELDS = {"method", "path", "query", "headers", "json", "form", "text"}
REPLY_FIELDS = {"status", "json", "text"}

ANY = "{any}"

SAMPLE_TOKENS = {"session": "session-of-the-player", "revoked": "session-revoked", "other": "session-of-another"}
"""The tokens in a request that is only parsed."""


class WirePair(NamedTuple):
    """A golden pair with its player; see the module for the fields."""

    name: str
    player_id: str
    currency: str
    fields: Mapping[str, Any]

    def fill_request(self, tokens: Mapping[str, str], fields: Mapping[str, Any] | None = None) -> HttpRequest:
        """Return the pair's request, or the one of these fields, with the tokens in it."""
        filled = _fill(self.fields["request"] if fields is None else fields, tokens)
        headers = {name.lower(): value for name, value in filled.get("headers", {}).items()}
        body = b""
        if "json" in filled:
            body = json.dumps(filled["json"]).encode()
            headers = {"content-type": JSON_MEDIA_TYPE} | headers
        elif "form" in filled:
            body = urlencode(filled["form"]).encode()
            headers = {"content-type": FORM_MEDIA_TYPE} | headers
        elif "text" in filled:
            body = filled["text"].encode()
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        return HttpRequest(filled["method"], filled["path"], filled.get("query", "").encode(), body, encoded)

    @property
    def reply(self) -> HttpResponse:
        """Return the reply of the file."""
        reply = self.fields["reply"]
        body = json.dumps(reply["json"]) if "json" in reply else reply["text"]
        return HttpResponse(body.encode(), reply.get("status", 200))

    def check_both_ways(self, protocol: WireProtocol) -> None:
        """Check that the parsed request is built again with the same fields and meaning, and that the reply is read."""
        request = self.fill_request(SAMPLE_TOKENS)
        call = parse_request(protocol, request)
        if not isinstance(call, Malformed):
            built = protocol.build_request(call, 0)
            assert parse_request(protocol, built) == call, f"{self.name}: the built request has another meaning"
            difference = _find_difference(_read_fields(request), _read_fields(built), self.fields.get("ignored", ()))
            assert not difference, f"{self.name}: the built request differs: {difference}"
        protocol.parse_response(self.reply)

    def check_reply(self, wallet: TemporaryWallet, protocol: WireProtocol, secret: str = "") -> None:
        """Send the request to the wallet, for a new player of a new agent, and compare the reply.

        For a protocol that signs, the agent gets the secret, and the requests are signed with it.
        """
        agent = wallet.add_agent()
        if protocol.signature:
            wallet.add_secret(agent, protocol.name, secret)
        cash, bonus = self.fields.get("cash", 0), self.fields.get("bonus", 0)
        owner = {"agent": agent, "currency": self.currency, "cash": cash, "bonus": bonus}
        revoked = wallet.add_player(player_id=self.player_id, **owner)
        wallet.end_sessions(revoked)
        player = wallet.open_session(revoked)
        tokens = {"session": player.token, "revoked": revoked.token}
        if "{other}" in json.dumps(self.fields):
            tokens["other"] = wallet.add_player(**owner).token
        caller = Caller(wallet, protocol, player, secret)
        for before in self.fields.get("calls", ()):
            response = caller.send(caller.sign(self.fill_request(tokens, before)))
            assert response.status == 200, f"{self.name}: an earlier call failed: {response.body!r}"
        response = caller.send(caller.sign(self.fill_request(tokens)))
        reply = self.fields["reply"]
        assert response.status == reply.get("status", 200), f"{self.name}: HTTP status {response.status}"
        if "json" in reply:
            found = json.loads(response.body)
            assert _mask(found, reply["json"]) == reply["json"], f"{self.name}: {response.body.decode()}"
        else:
            assert response.body.decode() == reply["text"], self.name


def load_pairs(file: Path) -> list[WirePair]:
    """Return the golden pairs of the file. Raise ValueError if it has a field that is not described above."""
    golden = json.loads(file.read_text(encoding="utf-8"))
    pairs = [WirePair(each["name"], golden["player_id"], golden["currency"], each) for each in golden["pairs"]]
    for pair in pairs:
        requests = [pair.fields["request"], *pair.fields.get("calls", ())]
        unknown = pair.fields.keys() - PAIR_FIELDS | pair.fields["reply"].keys() - REPLY_FIELDS
        unknown |= {name for request in requests for name in request.keys() - REQUEST_FIELDS}
        if unknown:
            raise ValueError(f"{file.name}: pair {pair.name!r} has the unknown fields {', '.join(sorted(unknown))}")
    return pairs


def _fill(value: Any, tokens: Mapping[str, str]) -> Any:  # noqa: ANN401 any JSON value
    """Return a copy of the JSON value with the tokens in all its texts."""
    text = json.dumps(value)
    for name, token in tokens.items():
        text = text.replace(f"{{{name}}}", token)
    return json.loads(text)


def _find_difference(golden: Any, built: Any, ignored: Collection[str], path: str = "") -> str:  # noqa: ANN401 any JSON value
    """Return the first field of the golden request that the built one lacks or changes, "" if there is none.

    `ignored` are names of fields that are not compared. The built request may have more fields.
    """
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(golden, dict) and isinstance(built, dict):
        pairs = [(f".{name}", value, built.get(name)) for name, value in golden.items() if name not in ignored]
    elif isinstance(golden, list) and isinstance(built, list) and len(golden) == len(built):
        pairs = [(f"[{index}]", *pair) for index, pair in enumerate(zip(golden, built, strict=True))]
    elif golden != built or type(golden) is not type(built):
        return f"{path.removeprefix('.')}: expected {json.dumps(golden)}, got {json.dumps(built)}"
    differences = (_find_difference(mine, other, ignored, path + step) for step, mine, other in pairs)
    return next(filter(None, differences), "")


def _mask(found: Any, golden: Any) -> Any:  # noqa: ANN401 any JSON value
    """Return the found value with ANY wherever the golden one has it."""
    if golden == ANY:
        return ANY
    if isinstance(found, dict) and isinstance(golden, dict):
        return {name: _mask(value, golden.get(name)) for name, value in found.items()}
    if isinstance(found, list) and isinstance(golden, list) and len(found) == len(golden):
        return [_mask(*pair) for pair in zip(found, golden, strict=True)]
    return found


def _read_fields(request: HttpRequest) -> dict[str, Any]:
    """Return the fields of a request by name: of its query and of its JSON or form. Text of another kind has one."""
    fields: dict[str, Any] = dict(parse_qsl(request.query.decode(), keep_blank_values=True))
    media_type = request.get_header("content-type")
    if media_type == FORM_MEDIA_TYPE:
        return fields | dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    if not request.body:
        return fields
    try:
        document = json.loads(request.body)
    except ValueError:
        document = request.body.decode()
    return fields | (document if isinstance(document, dict) else {"": document})

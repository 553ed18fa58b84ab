"""The journal rows of provider calls: the redacted request and the reply of each call that wrote entries.

No code of a protocol runs inside a transaction, as that has the commands of many players. So the reply is rendered
after the commit, and these rows join the next transaction, or one of their own a moment later. A crash in between loses
the record of the newest calls, never their money. A retry writes no entry, so its reply is not stored.

The rows are made on the store's thread, right before that transaction. The event loop, which all calls share, has less
to do then.
"""

import logging
from collections.abc import Sequence
from functools import partial

from minwallet.ledger.entries import Entry
from minwallet.protocols.wire import MAX_BODY_BYTES, Call, HttpRequest, HttpResponse, WireProtocol
from minwallet.storage.models import JournalRow
from minwallet.wallet.service import Wallet
from minwallet.web.gateway.protocol_guard import run_guarded
from minwallet.web.gateway.redaction import hide_signature, hide_token_in_path

UNRECORDED = "not recorded: the protocol failed; the traceback is in the server's log"
"""Request and reply in the journal if a bug of the protocol prevented the record."""

logger = logging.getLogger("minwallet")


class Journal:
    """The journal of the calls of one protocol."""

    def __init__(self, protocol: WireProtocol, wallet: Wallet) -> None:
        self._protocol = protocol
        self._wallet = wallet

    def add(
        self, call: Call, request: HttpRequest, signature: str, response: HttpResponse | None, entries: Sequence[Entry]
    ) -> None:
        """Store the request without its token and its signature, and the reply.

        With None as `response`, store that a bug of the protocol prevented the reply.
        """
        if response is None:
            self._wallet.add_to_journal(partial(_make_rows, UNRECORDED, UNRECORDED, entries))
        else:
            self._wallet.add_to_journal(partial(self._make_rows, call, request, signature, response, entries))

    def _make_rows(
        self, call: Call, request: HttpRequest, signature: str, response: HttpResponse, entries: Sequence[Entry]
    ) -> Sequence[JournalRow]:
        # Every bet comes here, so the steps that few protocols need are skipped.
        try:
            content = run_guarded(self._protocol.redact, call, request, self._wallet.clock_ms())
            if signature:
                content = hide_signature(signature, content)
            path = request.path
            if call.token and call.token in path:
                path = hide_token_in_path(call.token, path)
            text = f"{request.method} {path}{' ' if request.body else '?'}{content}"
            if not text.isascii():
                text.encode()  # SQLite cannot store a lone surrogate
            reply = response.body.decode(errors="replace")
        except Exception:
            logger.exception("a call was not recorded in the journal because of a bug")
            text = reply = UNRECORDED
        return _make_rows(text, reply, entries)


def _make_rows(request: str, reply: str, entries: Sequence[Entry]) -> Sequence[JournalRow]:
    rows = [JournalRow(entry.seq, request, reply) for entry in entries]
    # A long call with many commands is stored once.
    if len(rows) > 1 and len(request) * len(rows) > MAX_BODY_BYTES:
        rows[1:] = [JournalRow(entry.seq, f"(the call of entry {entries[0].seq})", "") for entry in entries[1:]]
    return rows

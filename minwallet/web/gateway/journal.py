"""The journal rows of provider calls: the redacted request and the reply of each call that wrote entries.

No code of a protocol runs inside a transaction, because a transaction has the commands of many players. So the reply
is rendered after the commit, and these rows join the next transaction, or one of their own a moment later. A crash in
between loses the record of the newest calls, never their money. A retry writes no entry, so its reply is not stored.
"""

import logging
from collections.abc import Sequence

from minwallet.ledger.entries import Entry
from minwallet.protocols.wire import MAX_BODY_BYTES, Call, HttpRequest, HttpResponse, WireProtocol
from minwallet.storage.models import JournalRow
from minwallet.web.gateway.protocol_guard import run_guarded
from minwallet.web.gateway.redaction import cut_off, hide_signature, hide_token_in_path
from minwallet.web.gateway.signatures import ValidSignature

UNRECORDED = "not recorded: the protocol failed; the traceback is in the server's log"
"""Request and reply in the journal if a bug of the protocol prevented the record."""

logger = logging.getLogger("minwallet")


def format_request(
    protocol: WireProtocol, call: Call, request: HttpRequest, signature: ValidSignature | None, now_ms: int
) -> str | None:
    """Return the request without its token, its signature and the secrets of its agent.

    Return None if a bug of the protocol prevents that.
    """
    # Every bet comes here, so the steps that few protocols need are skipped.
    try:
        content = run_guarded(protocol.redact, call, request, now_ms)
        path = request.path
        if call.token and call.token in path:
            path = hide_token_in_path(call.token, path)
        text = f"{request.method} {path}{' ' if request.body else '?'}{content}"
        if signature:
            text = hide_signature(signature, text)
        if not text.isascii():
            text.encode()  # SQLite cannot store a lone surrogate
    except Exception:
        logger.exception("a call was not recorded in the journal because of a bug")
        return None
    return text


def make_journal_rows(
    entries: Sequence[Entry], request: str | None, response: HttpResponse | None
) -> Sequence[JournalRow]:
    """Return the rows of the entries of one call. Without a request or a response, they say that a bug prevented it.

    Of a reply that is longer than MAX_BODY_BYTES, they have the beginning.
    """
    text = reply = UNRECORDED
    if request is not None and response is not None:
        text, reply = request, cut_off(response.body, MAX_BODY_BYTES)
    if len(entries) == 1:
        return (JournalRow(entries[0].seq, text, reply),)
    rows = [JournalRow(entry.seq, text, reply) for entry in entries]
    # A long call with many commands is stored once.
    if (len(text) + len(reply)) * len(rows) > MAX_BODY_BYTES:
        rows[1:] = [JournalRow(entry.seq, f"(the call of entry {entries[0].seq})", "") for entry in entries[1:]]
    return rows

"""The response of a call and its journal rows, made outside the event loop if possible."""

from collections.abc import Callable, Sequence

from minwallet.ledger.outcomes import Outcome, Unauthenticated, list_new_entries
from minwallet.protocols.wire import AccountHolder, Call, HttpRequest, HttpResponse, WireProtocol
from minwallet.storage.models import JournalRow, SessionHolder
from minwallet.web.gateway.journal import format_request, make_journal_rows
from minwallet.web.gateway.protocol_guard import check_response, run_guarded
from minwallet.web.gateway.signatures import ValidSignature


class Rendering:
    """The response of one call, and the journal rows of its entries.

    A call that writes is rendered on the store's thread after its commit, and any other one on the event loop. The
    loop is the one that all calls share, so it has less to do.
    """

    __slots__ = (
        "_call",
        "_clock_ms",
        "_fault",
        "_has_journal",
        "_protocol",
        "_request",
        "_response",
        "_signature",
        "journal_rows",
    )

    def __init__(
        self,
        protocol: WireProtocol,
        call: Call,
        request: HttpRequest,
        signature: ValidSignature | None,
        clock_ms: Callable[[], int],
        *,
        has_journal: bool,
    ) -> None:
        self._protocol = protocol
        self._call = call
        self._request = request
        self._signature = signature
        self._clock_ms = clock_ms
        self._has_journal = has_journal
        self._response: HttpResponse | None = None
        self._fault: Exception | None = None
        self.journal_rows: Sequence[JournalRow] = ()

    def render(self, holder: SessionHolder | None, outcome: Outcome | Unauthenticated) -> None:
        """Make and keep the response, and the rows of the entries that are new. Never raise.

        Without a response, the rows say that a bug prevented the record.
        """
        now_ms = self._clock_ms()
        account = AccountHolder(holder.player_id, holder.currency) if holder else None
        try:
            response = run_guarded(self._protocol.render, self._call, outcome, account, now_ms)
            self._response = check_response(response)
        except Exception as fault:
            self._fault = fault
        if self._has_journal and (entries := list_new_entries(outcome)):
            request = format_request(self._protocol, self._call, self._request, self._signature, now_ms)
            self.journal_rows = make_journal_rows(entries, request, self._response)

    def complete(self, holder: SessionHolder | None, outcome: Outcome | Unauthenticated) -> HttpResponse:
        """Return the response. Render it first if this is not done yet. Raise the exception of the protocol, if any."""
        if self._response is None and self._fault is None:
            self.render(holder, outcome)
        if self._response is None:
            assert self._fault is not None
            raise self._fault
        return self._response

"""The rendering of a response, on the thread that has the least to do."""

from collections.abc import Callable

from minwallet.ledger.outcomes import Outcome, Unauthenticated
from minwallet.protocols.wire import AccountHolder, Call, HttpResponse, WireProtocol
from minwallet.storage.models import SessionHolder
from minwallet.web.gateway.protocol_guard import check_response, run_guarded


class Rendering:
    """The response of one call, or the fault of the protocol that could not render it.

    A call that writes is rendered on the store's thread after its commit, and any other one on the event loop. The
    loop is the one that all calls share, so it has less to do.
    """

    __slots__ = ("_clock_ms", "_protocol", "call", "fault", "response")

    def __init__(self, protocol: WireProtocol, call: Call, clock_ms: Callable[[], int]) -> None:
        self._protocol = protocol
        self._clock_ms = clock_ms
        self.call = call
        self.response: HttpResponse | None = None
        self.fault: Exception | None = None

    def render(self, holder: SessionHolder | None, outcome: Outcome | Unauthenticated) -> None:
        """Render the outcome, once. Store the response or the fault."""
        account = AccountHolder(holder.player_id, holder.currency) if holder else None
        try:
            response = run_guarded(self._protocol.render, self.call, outcome, account, self._clock_ms())
            self.response = check_response(response)
        except Exception as fault:
            self.fault = fault

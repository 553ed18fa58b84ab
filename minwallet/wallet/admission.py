"""Admission control: limits the provider calls in flight, in total and per player.

Theory of operation. The wallet commits a bounded number of commands a second. If more calls arrive, a queue
without a bound uses more and more memory. Every call then waits until its caller has given up. The provider repeats the
call, which makes the queue longer. So a call above a limit is rejected immediately with 503
(`Unavailable`). A rejection is not a decision: nothing is written, and the same call may succeed later.

There are two limits, because players are served one command at a time:

- `MAX_IN_FLIGHT` bounds memory and the waiting time of all calls.
- `MAX_PER_PLAYER` keeps one player's queue from filling the first limit, so other players are not affected.

The total is counted before the session is looked up (`Wallet.execute`), as the lookup itself costs memory and time.
"""

MAX_IN_FLIGHT = 2048
"""In total: twice the connections of a large provider, and half a second of bets on a small machine. A caller that
waits longer has given up by then."""

MAX_PER_PLAYER = 256
"""Per player. Bets of one player are committed one after the other, so these take some tenths of a second. It is an
eighth of the total: a faulty game that floods one player leaves room for the others."""


class ConcurrencyLimiter:
    """Counts calls. Each successful `try_acquire` must be followed by one `release`.

    The caller maintains `in_flight`, the total.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self._per_player: dict[int, int] = {}

    def try_acquire(self, player_key: int) -> bool:
        """Count a call of this player. Return False if the player has MAX_PER_PLAYER calls in flight."""
        count = self._per_player.get(player_key, 0)
        if count >= MAX_PER_PLAYER:
            return False
        self._per_player[player_key] = count + 1
        return True

    def release(self, player_key: int) -> None:
        """Count the end of a call of this player."""
        count = self._per_player[player_key] - 1
        if count:
            self._per_player[player_key] = count
        else:
            # Players without a call must not stay in memory.
            del self._per_player[player_key]

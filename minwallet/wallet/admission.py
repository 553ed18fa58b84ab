"""How many provider calls the wallet has in hand: so many in all, and so many of one player. Whoever comes on top of
that is told at once to come again, so that neither memory nor anybody's waiting grows without end.
"""

MAX_IN_FLIGHT = 2048
"""In all: twice the connections that a large provider keeps, and half a second's bets of a small machine. Who waits
longer than that has given up, and what he asked for would be done for nobody."""

MAX_PER_PLAYER = 256
"""Of one player, whose bets are committed one after the other: some tenths of a second, and an eighth of all, so that a
game that has gone mad with one player takes nothing from the others."""


class ConcurrencyLimiter:
    """`try_acquire` a call, and later `release` for every one that was admitted."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._per_player: dict[int, int] = {}

    def try_acquire(self, player_key: int) -> bool:
        """Whether there is room for another call of this player."""
        count = self._per_player.get(player_key, 0)
        if count >= MAX_PER_PLAYER:
            return False
        self._per_player[player_key] = count + 1
        return True

    def release(self, player_key: int) -> None:
        """A call of the player is answered."""
        count = self._per_player[player_key] - 1
        if count:
            self._per_player[player_key] = count
        else:
            del self._per_player[player_key]

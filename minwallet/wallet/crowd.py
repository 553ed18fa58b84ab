"""How many provider calls the wallet has in hand: so many in all, and so many of one player. Whoever comes on top of
that is told at once to come again, so that neither memory nor anybody's waiting grows without end.
"""

MOST = 2048
"""In all: twice the connections that a large provider keeps, and half a second's bets of a small machine. Who waits
longer than that has given up, and what he asked for would be done for nobody."""

MOST_OF_ONE = 256
"""Of one player, whose bets are committed one after the other: some tenths of a second, and an eighth of all, so that a
game that has gone mad with one player takes nothing from the others."""


class Crowd:
    """`admit` a call, and later `leave` for every one that was admitted."""

    def __init__(self) -> None:
        self.size = 0
        self._of: dict[int, int] = {}

    def admit(self, player_key: int) -> bool:
        """Whether there is room for another call of this player."""
        own = self._of.get(player_key, 0)
        if own >= MOST_OF_ONE:
            return False
        self._of[player_key] = own + 1
        return True

    def leave(self, player_key: int) -> None:
        """A call of the player is answered."""
        own = self._of[player_key] - 1
        if own:
            self._of[player_key] = own
        else:
            del self._of[player_key]

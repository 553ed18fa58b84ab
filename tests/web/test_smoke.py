"""The shortest way through everything."""

from tests.support import Server


def test_a_bet_takes_money(server: Server) -> None:
    """A bet over HTTP is in the player's ledger."""
    player = server.cli.player()
    token = server.cli.session(player)
    assert server.wallet_v2(code=token, type="bet", bet=500, id=3, game=1012) == {"credit": 9500, "result": 1}
    assert server.cli.account(player) == (9500, 0)
    server.cli.assert_clean()

"""The page of the newest provider calls."""

from tests.support import Server
from tests.web.backoffice.admin_client import AdminClient


def test_calls_are_listed_with_request_reply_and_reason(server: Server, admin_client: AdminClient) -> None:
    """Failed calls can be shown alone. Texts of a caller are escaped."""
    assert "No calls yet" in admin_client.get_page("/admin/calls")
    name = server.cli.add_player()
    token = server.cli.open_session(name)
    server.wallet_v2(type="bet", code=token, bet=100, id=1, game="<b>")
    assert "No failed calls" in admin_client.get_page("/admin/calls?failed=1")
    server.wallet_v2(type="bet", code=token, bet=-100, id=1, game="<b>")
    page = admin_client.get_page("/admin/calls")
    assert page.count('<details class="call">') == 2
    assert 'aria-current="page">Calls</a>' in page
    assert "bet: must be a whole number" in page
    assert "&#34;code&#34;: &#34;TOKEN&#34;" in page
    assert "&lt;b&gt;" in page
    assert token not in page
    assert admin_client.get_page("/admin/calls?failed=1").count('<details class="call">') == 1

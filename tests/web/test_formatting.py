"""Formatting of money and times on pages."""

import pytest
from jinja2 import UndefinedError

from minwallet.web import formatting, templating

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("cents", "amount", "change"),
    [
        (0, "0.00", "0.00"),
        (5, "0.05", "+0.05"),
        (-5, f"{MINUS}0.05", f"{MINUS}0.05"),
        (123_450, "1,234.50", "+1,234.50"),
        (-(2**63) + 1, f"{MINUS}92,233,720,368,547,758.07", f"{MINUS}92,233,720,368,547,758.07"),
    ],
)
def test_money_is_grouped_and_signed(cents: int, amount: str, change: str) -> None:
    """Thousands are grouped, and a positive change has a plus sign."""
    assert formatting.format_money(cents) == amount
    assert formatting.format_signed_money(cents) == change


def test_times_are_utc_to_the_second() -> None:
    """Text and machine-readable time are the same moment, whatever the input."""
    shown = '<time datetime="2026-11-21T12:00:05Z">2026-11-21 12:00:05</time>'
    assert formatting.format_time(1_795_262_405_999) == shown
    assert formatting.format_time("2026-11-21T13:00:05.999+01:00") == shown
    assert formatting.format_day(1_795_262_405_999) == '<time datetime="2026-11-21">2026-11-21</time>'


def test_user_text_is_escaped() -> None:
    """Markup in a name is shown as text."""
    page = templating.render_string("error.html", title="<b>x</b>", text='"><script src=/y>', code=404)
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<script src=/y>" not in page


def test_an_undefined_template_variable_is_an_error() -> None:
    """A page with a missing value is never shown."""
    with pytest.raises(UndefinedError):
        templating.render_string("error.html", title="x", text="y")

"""A report held against the ledger: what each pair of sides comes to, and the sums."""

import pytest

from minwallet.ledger.tickets import (
    FINE,
    Difference,
    Finding,
    Heading,
    Horizon,
    Reconciliation,
    Reported,
    ReportRow,
    Sums,
    Ticket,
    compare,
    sum_up,
)

EARLY, DUE, LATE = 10, 50, 90
HORIZON = Horizon(pulled_at_ms=60, due_ms=DUE, open_since_ms=30)

TICKET = Ticket(
    "7",
    "fish",
    "ann",
    "MYR",
    stake=200,
    payout=50,
    took_money=True,
    is_open=False,
    is_refunded=False,
    opened_at_ms=EARLY,
    moved_at_ms=EARLY,
)
OPEN = TICKET._replace(payout=0, is_open=True, opened_at_ms=40, moved_at_ms=40)
REFUNDED = TICKET._replace(payout=0, is_refunded=True)
REFUSED = TICKET._replace(payout=0, took_money=False)

REPORTED = Reported("7", "fish", "ann", "MYR", stake=200, payout=50, reported_at="2026-01-02 03:04:05")
IN_PLAY = REPORTED._replace(payout=0)
CALLED_OFF = REPORTED._replace(stake=0, payout=0)


@pytest.mark.parametrize(
    ("ours", "theirs", "finding"),
    [
        (TICKET, REPORTED, Finding.MATCHED),
        (TICKET, REPORTED._replace(player_id="op_ann@7", game="fish2"), Finding.MATCHED),
        (TICKET, REPORTED._replace(player_id="bob"), Finding.PLAYER_DIFFERS),
        (TICKET._replace(stake=0, payout=0), None, Finding.NO_MONEY),
        (TICKET._replace(stake=50), None, Finding.MISSING_THERE),
        (OPEN._replace(stake=0, opened_at_ms=29), None, Finding.OPEN_BET),
        (TICKET, REPORTED._replace(stake=201), Finding.AMOUNT_DIFFERS),
        (TICKET, REPORTED._replace(payout=0), Finding.AMOUNT_DIFFERS),
        (TICKET, CALLED_OFF, Finding.AMOUNT_DIFFERS),
        (TICKET, None, Finding.MISSING_THERE),
        (TICKET._replace(moved_at_ms=DUE), None, Finding.NOT_DUE),
        (TICKET._replace(moved_at_ms=DUE - 1), None, Finding.MISSING_THERE),
        (TICKET._replace(moved_at_ms=LATE), IN_PLAY, Finding.NOT_DUE),
        (TICKET._replace(moved_at_ms=LATE), REPORTED, Finding.MATCHED),
        (None, REPORTED, Finding.MISSING_HERE),
        (None, CALLED_OFF, Finding.NO_MONEY),
        (REFUSED, None, Finding.NO_MONEY),
        (REFUSED, CALLED_OFF, Finding.NO_MONEY),
        (REFUSED, REPORTED, Finding.MISSING_HERE),
        (OPEN, None, Finding.NOT_DUE),
        (OPEN, IN_PLAY, Finding.MATCHED),
        (OPEN, REPORTED, Finding.AMOUNT_DIFFERS),
        (OPEN._replace(opened_at_ms=29), None, Finding.OPEN_BET),
        (OPEN._replace(opened_at_ms=30), None, Finding.NOT_DUE),
        (OPEN._replace(opened_at_ms=29), IN_PLAY, Finding.OPEN_BET),
        (REFUNDED, CALLED_OFF, Finding.MATCHED),
        (REFUNDED, None, Finding.REFUND_UNKNOWN),
        (REFUNDED, REPORTED, Finding.REFUND_UNKNOWN),
        (REFUNDED._replace(moved_at_ms=LATE), REPORTED, Finding.NOT_DUE),
    ],
)
def test_what_two_sides_come_to(ours: Ticket | None, theirs: Reported | None, finding: Finding) -> None:
    """Only the money decides, and only as far as the report can know of it."""
    assert compare(ours, theirs, HORIZON) is finding


def test_rows_of_one_ticket_are_summed() -> None:
    """Without what was called off."""
    rows = [
        ReportRow("1", "7", "fish", "ann", 200, 0, cancelled=200, status="cancel", reported_at="2026-01-02 03:04:05"),
        ReportRow("2", "7", "fish", "ann", 100, 30, rejected=10, status="done", reported_at="2026-01-02 03:05:05"),
    ]
    assert sum_up(rows, ["MYR", ""]) == Reported("7", "fish", "ann", "MYR", 90, 30, "2026-01-02 03:04:05")


def test_everything_is_counted_and_what_differs_is_kept() -> None:
    """Totals of both sides by day, game and currency, of what moved money for good."""
    found = Reconciliation(HORIZON)
    found.meet(TICKET, REPORTED, "2026-01-02")
    found.meet(TICKET._replace(ticket="8"), None, "2026-01-02")
    found.meet(None, REPORTED._replace(ticket="9", game="zodiac"), "2026-01-03")
    found.meet(REFUNDED._replace(ticket="10"), CALLED_OFF, "2026-01-02")
    found.meet(REFUSED._replace(ticket="11"), None, "2026-01-02")
    found.meet(None, REPORTED._replace(ticket="13", game="zodiac", stake=0), "2026-01-03")
    found.note(Finding.ORPHAN_WIN, TICKET._replace(ticket="12", stake=0), None)
    assert found.counts == {
        Finding.MATCHED: 2,
        Finding.MISSING_THERE: 1,
        Finding.MISSING_HERE: 2,
        Finding.NO_MONEY: 1,
        Finding.ORPHAN_WIN: 1,
    }
    assert found.differences == [
        Difference(Finding.MISSING_THERE, TICKET._replace(ticket="8"), None),
        Difference(Finding.MISSING_HERE, None, REPORTED._replace(ticket="9", game="zodiac")),
        Difference(Finding.MISSING_HERE, None, REPORTED._replace(ticket="13", game="zodiac", stake=0)),
        Difference(Finding.ORPHAN_WIN, TICKET._replace(ticket="12", stake=0), None),
    ]
    assert FINE.isdisjoint(each.finding for each in found.differences)
    fish, zodiac = Heading("2026-01-02", "fish", "MYR"), Heading("2026-01-03", "zodiac", "MYR")
    assert found.headings() == [fish, zodiac]
    assert found.ours == {fish: Sums(2, 400, 100)}
    assert found.theirs == {fish: Sums(1, 200, 50), zodiac: Sums(2, 200, 100)}


def test_only_so_many_differences_are_kept() -> None:
    """All are counted."""
    found = Reconciliation(HORIZON, most_kept=2)
    for number in range(3):
        found.meet(TICKET._replace(ticket=str(number)), None, "2026-01-02")
    assert found.counts[Finding.MISSING_THERE] == 3
    assert [each.ours.ticket for each in found.differences if each.ours] == ["0", "1"]

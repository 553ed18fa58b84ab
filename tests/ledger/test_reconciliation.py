"""The comparison of a report with the ledger: the status of each pair of tickets, and the totals."""

import pytest

from minwallet.ledger.reconciliation import (
    MAX_PLAYER_ID_LENGTH,
    NOT_DIFFERENCES,
    CutOff,
    Discrepancy,
    MatchStatus,
    Reconciliation,
    ReportedTicket,
    ReportRow,
    Ticket,
    TicketTotals,
    TotalsKey,
    compare_ticket,
    is_same_player,
    list_rival_names,
    merge_rows,
)

EARLY, DUE, LATE = 10, 50, 90
CUT_OFF = CutOff(pulled_at_ms=60, due_before_ms=DUE, overdue_before_ms=30)

TICKET = Ticket(
    "7",
    "fish",
    "ann",
    "MYR",
    stake=200,
    payout=50,
    has_taken_money=True,
    is_open=False,
    is_refunded=False,
    opened_at_ms=EARLY,
    updated_at_ms=EARLY,
)
OPEN = TICKET._replace(payout=0, is_open=True, opened_at_ms=40, updated_at_ms=40)
REFUNDED = TICKET._replace(payout=0, is_refunded=True)
REFUSED = TICKET._replace(payout=0, has_taken_money=False)

REPORTED = ReportedTicket("7", "fish", "ann", "MYR", stake=200, payout=50, reported_at="2026-01-02 03:04:05")
IN_PLAY = REPORTED._replace(payout=0)
CALLED_OFF = REPORTED._replace(stake=0, payout=0)


@pytest.mark.parametrize(
    ("ours", "reported", "players", "is_same"),
    [
        ("1", "1", ["1", "12"], True),
        ("1", "12", ["1"], True),
        ("1", "12", ["1", "12"], False),
        ("1", "op_12", ["1", "12"], False),
        ("1", "op_12_usd", ["1", "12", "2"], False),
        ("12", "op_12_usd", ["1", "12", "2"], True),
        ("12", "op_12_usd", ["OP_12"], False),
        ("ann", "OP_ANN", ["ann", "bob"], True),
        ("ann", "ANN", ["ann"], True),
        ("ann", "ANN", ["ann", "Ann"], True),
        ("ann", "Ann", ["ann", "Ann"], False),
        ("ann", "OP_JOANN", ["ann", "JoAnn"], False),
        ("ann", "bob", ["ann", "bob"], False),
        ("ann", "an", ["ann", "an"], False),
    ],
)
def test_a_report_s_name_means_one_player(ours: str, reported: str, players: list[str], is_same: bool) -> None:
    """A name with a prefix or suffix is ours, unless it is, or contains, the longer name of another player of ours."""
    names = list_rival_names(ours, reported)
    assert is_same_player(ours, reported, [each for each in players if each.lower() in names]) is is_same


def test_a_long_name_has_a_limited_number_of_rivals() -> None:
    """The provider chooses the name, and each rival is a search."""
    assert len(list_rival_names("a", "a1" * 32)) <= 64 * MAX_PLAYER_ID_LENGTH
    assert max(map(len, list_rival_names("a", "a1" * 32))) == MAX_PLAYER_ID_LENGTH


@pytest.mark.parametrize(
    ("ours", "theirs", "status"),
    [
        (TICKET, REPORTED, MatchStatus.MATCHED),
        (TICKET, REPORTED._replace(player_id="op_ann@7", game="fish2"), MatchStatus.MATCHED),
        (TICKET, REPORTED._replace(player_id="bob"), MatchStatus.PLAYER_DIFFERS),
        (TICKET._replace(stake=0, payout=0), None, MatchStatus.NO_MONEY),
        (TICKET._replace(stake=50), None, MatchStatus.MISSING_THERE),
        (OPEN._replace(stake=0, opened_at_ms=29), None, MatchStatus.OPEN_BET),
        (TICKET, REPORTED._replace(stake=201), MatchStatus.AMOUNT_DIFFERS),
        (TICKET, REPORTED._replace(payout=0), MatchStatus.AMOUNT_DIFFERS),
        (TICKET, CALLED_OFF, MatchStatus.AMOUNT_DIFFERS),
        (TICKET, None, MatchStatus.MISSING_THERE),
        (TICKET._replace(updated_at_ms=DUE), None, MatchStatus.NOT_DUE),
        (TICKET._replace(updated_at_ms=DUE - 1), None, MatchStatus.MISSING_THERE),
        (TICKET._replace(updated_at_ms=LATE), IN_PLAY, MatchStatus.NOT_DUE),
        (TICKET._replace(updated_at_ms=LATE), REPORTED, MatchStatus.MATCHED),
        (None, REPORTED, MatchStatus.MISSING_HERE),
        (None, CALLED_OFF, MatchStatus.NO_MONEY),
        (REFUSED, None, MatchStatus.NO_MONEY),
        (REFUSED, CALLED_OFF, MatchStatus.NO_MONEY),
        (REFUSED, REPORTED, MatchStatus.MISSING_HERE),
        (OPEN, None, MatchStatus.NOT_DUE),
        (OPEN, IN_PLAY, MatchStatus.MATCHED),
        (OPEN, REPORTED, MatchStatus.AMOUNT_DIFFERS),
        (OPEN._replace(opened_at_ms=29), None, MatchStatus.OPEN_BET),
        (OPEN._replace(opened_at_ms=30), None, MatchStatus.NOT_DUE),
        (OPEN._replace(opened_at_ms=29), IN_PLAY, MatchStatus.OPEN_BET),
        (REFUNDED, CALLED_OFF, MatchStatus.MATCHED),
        (REFUNDED, None, MatchStatus.REFUND_UNKNOWN),
        (REFUNDED, REPORTED, MatchStatus.REFUND_UNKNOWN),
        (REFUNDED._replace(updated_at_ms=LATE), REPORTED, MatchStatus.NOT_DUE),
    ],
)
def test_compare_ticket(ours: Ticket | None, theirs: ReportedTicket | None, status: MatchStatus) -> None:
    """Only amounts of money decide, and only as far as the report can contain them."""
    assert compare_ticket(ours, theirs, CUT_OFF) is status


def test_rows_of_one_ticket_are_summed() -> None:
    """Cancelled and rejected amounts are subtracted."""
    rows = [
        ReportRow("1", "7", "fish", "ann", 200, 0, cancelled=200, status="cancel", reported_at="2026-01-02 03:04:05"),
        ReportRow("2", "7", "fish", "ann", 100, 30, rejected=10, status="done", reported_at="2026-01-02 03:05:05"),
    ]
    assert merge_rows(rows, ["MYR", ""]) == ReportedTicket("7", "fish", "ann", "MYR", 90, 30, "2026-01-02 03:04:05")


def test_all_pairs_are_counted_and_discrepancies_are_kept() -> None:
    """Both sides have totals by day, game and currency, of all tickets that moved money."""
    found = Reconciliation(CUT_OFF)
    found.add_pair(TICKET, REPORTED, "2026-01-02")
    found.add_pair(TICKET._replace(ticket="8"), None, "2026-01-02")
    found.add_pair(None, REPORTED._replace(ticket="9", game="zodiac"), "2026-01-03")
    found.add_pair(REFUNDED._replace(ticket="10"), CALLED_OFF, "2026-01-02")
    found.add_pair(REFUSED._replace(ticket="11"), None, "2026-01-02")
    found.add_pair(None, REPORTED._replace(ticket="13", game="zodiac", stake=0), "2026-01-03")
    found.add(MatchStatus.ORPHAN_WIN, TICKET._replace(ticket="12", stake=0), None)
    assert found.counts == {
        MatchStatus.MATCHED: 2,
        MatchStatus.MISSING_THERE: 1,
        MatchStatus.MISSING_HERE: 2,
        MatchStatus.NO_MONEY: 1,
        MatchStatus.ORPHAN_WIN: 1,
    }
    assert found.discrepancies == [
        Discrepancy(MatchStatus.MISSING_THERE, TICKET._replace(ticket="8"), None),
        Discrepancy(MatchStatus.MISSING_HERE, None, REPORTED._replace(ticket="9", game="zodiac")),
        Discrepancy(MatchStatus.MISSING_HERE, None, REPORTED._replace(ticket="13", game="zodiac", stake=0)),
        Discrepancy(MatchStatus.ORPHAN_WIN, TICKET._replace(ticket="12", stake=0), None),
    ]
    assert NOT_DIFFERENCES.isdisjoint(each.status for each in found.discrepancies)
    fish, zodiac = TotalsKey("2026-01-02", "fish", "MYR"), TotalsKey("2026-01-03", "zodiac", "MYR")
    assert found.list_totals_keys() == [fish, zodiac]
    assert found.ours == {fish: TicketTotals(2, 400, 100)}
    assert found.theirs == {fish: TicketTotals(1, 200, 50), zodiac: TicketTotals(2, 200, 100)}


def test_max_discrepancies_are_kept() -> None:
    """Discrepancies above the maximum are counted but not kept."""
    found = Reconciliation(CUT_OFF, max_discrepancies=2)
    for number in range(3):
        found.add_pair(TICKET._replace(ticket=str(number)), None, "2026-01-02")
    assert found.counts[MatchStatus.MISSING_THERE] == 3
    assert [each.ours.ticket for each in found.discrepancies if each.ours] == ["0", "1"]

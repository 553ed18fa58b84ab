"""The operations of the admin API. Each is a line here, and a handler where the desk does not do it by itself."""

from collections.abc import Mapping, Sequence

from minwallet.operations.requests import (
    AgentAdd,
    AgentSet,
    LimitList,
    LimitSet,
    PlayerExclude,
    PlayerSearch,
    PlayerSetStatus,
    PlayerShow,
    SessionEnd,
    SessionOpen,
    Transfer,
)
from minwallet.operations.schemas import (
    AgentResponse,
    AgentSummary,
    NewSessionResponse,
    PlayerLimitsResponse,
    PlayerResponse,
    TransferResult,
)
from minwallet.web.admin_api import ledger, people
from minwallet.web.admin_api.operation import Operation, by_desk, by_handler
from minwallet.web.admin_api.problems import Cause
from minwallet.web.admin_api.shapes import PlayersShown, Revoked

AGENT = "/agents/{agent}"
PLAYER = f"{AGENT}/players/{{player_id}}"
SESSION = f"{PLAYER}/sessions/{{session}}"

DEPOSIT, WITHDRAW = {"do": "deposit"}, {"do": "withdraw"}

OPERATIONS: Mapping[str, Sequence[Operation]] = {
    "Agents": (
        by_handler("GET /agents", people.list_agents, "List the agents"),
        by_desk("add_agent", "POST /agents", AgentAdd, AgentSummary, "Add an agent", status=201, for_all=True),
        by_handler("GET /agents/{name}", people.show_agent, "Show an agent"),
        by_desk(
            "change_agent", "PATCH /agents/{name}", AgentSet, AgentResponse, "Change an agent's settings", for_all=True
        ),
    ),
    "Players": (
        by_desk("list_players", f"GET {AGENT}/players", PlayerSearch, PlayersShown, "List players, or look for some"),
        by_handler(f"POST {AGENT}/players", people.add_player, "Add a player", status=201),
        by_desk("show_player", f"GET {PLAYER}", PlayerShow, PlayerResponse, "Show a player"),
        by_desk(
            "change_player", f"PATCH {PLAYER}", PlayerSetStatus, PlayerResponse, "Block a player, or let play again"
        ),
        by_handler(f"GET {PLAYER}/accounts", people.list_accounts, "List a player's accounts"),
        by_handler(f"POST {PLAYER}/accounts", people.add_account, "Add an account", status=201),
    ),
    "Money": (
        by_desk("deposit", f"POST {PLAYER}/deposits", Transfer, TransferResult, "Give a player money", fixed=DEPOSIT),
        by_desk("withdraw", f"POST {PLAYER}/withdrawals", Transfer, TransferResult, "Pay a player out", fixed=WITHDRAW),
    ),
    "Limits": (
        by_desk(
            "list_limits",
            f"GET {PLAYER}/limits",
            LimitList,
            PlayerLimitsResponse,
            "Show what protects a player",
            may=(Cause.NOT_POSSIBLE,),
        ),
        by_desk("set_limit", f"PUT {PLAYER}/limits/{{kind}}/{{per}}", LimitSet, PlayerLimitsResponse, "Set a limit"),
        by_desk("exclude_player", f"PUT {PLAYER}/exclusion", PlayerExclude, PlayerLimitsResponse, "Exclude a player"),
    ),
    "Sessions and launches": (
        by_handler(f"GET {PLAYER}/sessions", people.list_sessions, "List a player's sessions"),
        by_desk(
            "open_session", f"POST {PLAYER}/sessions", SessionOpen, NewSessionResponse, "Open a session", status=201
        ),
        by_desk("revoke_session", f"DELETE {SESSION}", SessionEnd, Revoked, "Revoke a session"),
        by_handler(f"POST {PLAYER}/launches", people.launch, "Launch a game", status=201),
        by_handler(f"POST {AGENT}/launches", people.launch_demo, "Launch a game with virtual credit", status=201),
    ),
    "Transactions": (
        by_handler("GET /transactions", ledger.list_transactions, "List transactions"),
        by_handler("GET /transactions/{seq}", ledger.show_transaction, "Show a transaction"),
        by_handler("GET /feed", ledger.follow, "Follow transactions as they happen", may=(Cause.TOO_MANY,)),
        by_handler("GET /rounds/open", ledger.list_open_rounds, "List the bets of open rounds"),
    ),
    "The whole wallet": (
        by_handler("GET /totals", ledger.show_totals, "Show what transactions add up to"),
        by_handler("GET /holdings", ledger.show_holdings, "Show what all players hold", for_all=True),
        by_handler("GET /verify", ledger.verify, "Verify the ledger", for_all=True, may=(Cause.BUSY,)),
        by_handler("GET /health", ledger.show_health, "Show how the wallet is doing"),
    ),
}
"""By heading, in the order in which people read of them."""

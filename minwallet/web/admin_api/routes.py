"""The table of the admin API's operations. One that maps to a single OperationRequest needs no handler."""

from collections.abc import Mapping, Sequence

from minwallet.operations.access_requests import (
    CallbackKeyAdd,
    CallbackKeyList,
    CallbackKeyRevoke,
    ProtocolSecretAdd,
    ProtocolSecretList,
    ProtocolSecretRevoke,
)
from minwallet.operations.access_schemas import CallbackKeyResponse, NewCallbackKeyResponse, ProtocolSecretResponse
from minwallet.operations.errors import ErrorCode
from minwallet.operations.requests import (
    Adjustment,
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
from minwallet.web.admin_api import ledger_handlers, player_handlers
from minwallet.web.admin_api.api_schemas import (
    CallbackKeysResponse,
    PlayersResponse,
    ProtocolSecretsResponse,
    RevokedResponse,
)
from minwallet.web.admin_api.operation import Operation, from_handler, passthrough

AGENT_PATH = "/agents/{agent}"
PLAYER_PATH = f"{AGENT_PATH}/players/{{player_id}}"
SESSION_PATH = f"{PLAYER_PATH}/sessions/{{session}}"

DEPOSIT_FIELDS, WITHDRAW_FIELDS = {"operation": "deposit"}, {"operation": "withdraw"}

OPERATIONS: Mapping[str, Sequence[Operation]] = {
    "Agents": (
        from_handler("GET /agents", player_handlers.list_agents, "List the agents"),
        passthrough(
            "add_agent", "POST /agents", AgentAdd, AgentSummary, "Add an agent", status=201, all_agents_only=True
        ),
        from_handler("GET /agents/{name}", player_handlers.show_agent, "Show an agent"),
        passthrough(
            "change_agent",
            "PATCH /agents/{name}",
            AgentSet,
            AgentResponse,
            "Change an agent's settings",
            all_agents_only=True,
        ),
    ),
    "Callback keys": (
        passthrough(
            "list_callback_keys",
            f"GET {AGENT_PATH}/callback-keys",
            CallbackKeyList,
            CallbackKeysResponse,
            "List an agent's callback keys",
        ),
        passthrough(
            "add_callback_key",
            f"POST {AGENT_PATH}/callback-keys",
            CallbackKeyAdd,
            NewCallbackKeyResponse,
            "Create a callback key",
            status=201,
            all_agents_only=True,
        ),
        passthrough(
            "revoke_callback_key",
            f"DELETE {AGENT_PATH}/callback-keys/{{key_prefix}}",
            CallbackKeyRevoke,
            CallbackKeyResponse,
            "Revoke a callback key",
            all_agents_only=True,
            extra_problems=(ErrorCode.NOT_POSSIBLE,),
        ),
    ),
    "Protocol secrets": (
        passthrough(
            "list_protocol_secrets",
            f"GET {AGENT_PATH}/protocol-secrets",
            ProtocolSecretList,
            ProtocolSecretsResponse,
            "List an agent's protocol secrets",
        ),
        passthrough(
            "add_protocol_secret",
            f"POST {AGENT_PATH}/protocol-secrets",
            ProtocolSecretAdd,
            ProtocolSecretResponse,
            "Add a protocol secret",
            status=201,
            all_agents_only=True,
            extra_problems=(ErrorCode.NOT_POSSIBLE,),
        ),
        passthrough(
            "revoke_protocol_secret",
            f"DELETE {AGENT_PATH}/protocol-secrets/{{protocol}}/{{fingerprint}}",
            ProtocolSecretRevoke,
            ProtocolSecretResponse,
            "Revoke a protocol secret",
            all_agents_only=True,
            extra_problems=(ErrorCode.NOT_POSSIBLE,),
        ),
    ),
    "Players": (
        passthrough(
            "list_players", f"GET {AGENT_PATH}/players", PlayerSearch, PlayersResponse, "List or search players"
        ),
        from_handler(f"POST {AGENT_PATH}/players", player_handlers.add_player, "Add a player", status=201),
        passthrough("show_player", f"GET {PLAYER_PATH}", PlayerShow, PlayerResponse, "Show a player"),
        passthrough(
            "change_player",
            f"PATCH {PLAYER_PATH}",
            PlayerSetStatus,
            PlayerResponse,
            "Block or unblock a player",
        ),
        from_handler(f"GET {PLAYER_PATH}/accounts", player_handlers.list_accounts, "List a player's accounts"),
        from_handler(f"POST {PLAYER_PATH}/accounts", player_handlers.add_account, "Add an account", status=201),
    ),
    "Money": (
        passthrough(
            "deposit",
            f"POST {PLAYER_PATH}/deposits",
            Transfer,
            TransferResult,
            "Deposit money",
            fixed=DEPOSIT_FIELDS,
        ),
        passthrough(
            "withdraw",
            f"POST {PLAYER_PATH}/withdrawals",
            Transfer,
            TransferResult,
            "Withdraw money",
            fixed=WITHDRAW_FIELDS,
        ),
        passthrough("adjust", f"POST {PLAYER_PATH}/adjustments", Adjustment, TransferResult, "Adjust a balance"),
    ),
    "Limits": (
        passthrough(
            "list_limits",
            f"GET {PLAYER_PATH}/limits",
            LimitList,
            PlayerLimitsResponse,
            "Show limits and exclusion",
            extra_problems=(ErrorCode.NOT_POSSIBLE,),
        ),
        passthrough(
            "set_limit", f"PUT {PLAYER_PATH}/limits/{{kind}}/{{per}}", LimitSet, PlayerLimitsResponse, "Set a limit"
        ),
        passthrough(
            "exclude_player", f"PUT {PLAYER_PATH}/exclusion", PlayerExclude, PlayerLimitsResponse, "Exclude a player"
        ),
    ),
    "Sessions and launches": (
        from_handler(f"GET {PLAYER_PATH}/sessions", player_handlers.list_sessions, "List a player's sessions"),
        passthrough(
            "open_session",
            f"POST {PLAYER_PATH}/sessions",
            SessionOpen,
            NewSessionResponse,
            "Open a session",
            status=201,
        ),
        passthrough("revoke_session", f"DELETE {SESSION_PATH}", SessionEnd, RevokedResponse, "Revoke a session"),
        from_handler(f"POST {PLAYER_PATH}/launches", player_handlers.launch, "Launch a game", status=201),
        from_handler(
            f"POST {AGENT_PATH}/launches", player_handlers.launch_demo, "Launch a game with virtual credit", status=201
        ),
    ),
    "Transactions": (
        from_handler("GET /transactions", ledger_handlers.list_transactions, "List transactions"),
        from_handler("GET /transactions/{seq}", ledger_handlers.show_transaction, "Show a transaction"),
        from_handler(
            "GET /feed",
            ledger_handlers.follow,
            "Follow transactions live",
            extra_problems=(ErrorCode.TOO_MANY,),
        ),
        from_handler("GET /rounds/open", ledger_handlers.list_open_rounds, "List the bets of open rounds"),
    ),
    "Provider calls": (from_handler("GET /calls", ledger_handlers.list_calls, "List provider calls"),),
    "The whole wallet": (
        from_handler("GET /totals", ledger_handlers.show_totals, "Show totals"),
        from_handler(
            "GET /holdings", ledger_handlers.show_holdings, "Show the sum of all balances", all_agents_only=True
        ),
        from_handler(
            "GET /verify",
            ledger_handlers.verify,
            "Verify the ledger",
            all_agents_only=True,
            extra_problems=(ErrorCode.BUSY,),
        ),
        from_handler("GET /health", ledger_handlers.show_health, "Show the health of the wallet"),
    ),
}
"""By heading, in the order of the documentation page."""

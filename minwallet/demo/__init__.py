"""The demo provider: a small game provider with three games. It calls a wallet over real HTTP.

The core is pure:

- `game_rules`: each game as a function of stake, choice and random numbers.
- `round_policy`: the calls of a round, and the rules by which the provider completes each round.
- `faults`: how a call is delivered when a fault is injected.

Around the core: `wallet_client` sends calls, `round_store` keeps the rounds, `simulator` plays them, and
`provider_server` serves players (`game_pages`), operators (`operator_api`) and scripts (`script_api`).
"""

"""A small, real game provider for people who have none: three games, both protocols, honest HTTP.

The core is pure: `games` are functions of a stake and of chance, `rounds` the calls that a round makes and the policy
that sees it through, `faults` how a call may be led astray on its way. Around it `client` sends, `store` remembers,
`runner` plays and `server` answers players, operators and scripts.
"""

"""The operator's side towards a provider: launch URLs, game list, report, reconciliation and manual calls.

Nothing in this package writes to the store. What it fetches is stored by `operations`.
"""

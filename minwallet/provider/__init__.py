"""The operator's side towards a provider: launch URLs, the game list, the report and what it comes to.

What is fetched here is kept by the wallet's desk; nothing in this room writes.
"""

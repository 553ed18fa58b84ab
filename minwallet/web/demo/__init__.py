"""The page `/demo` of `minwallet demo`: games to play, the wallet's ledger, and a provider with injected faults.

The wallet's server serves the page. A play takes the real way: the page sends it to the demo provider over HTTP, and
the provider calls the wallet like any other.
"""

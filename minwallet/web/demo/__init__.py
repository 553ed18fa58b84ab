"""The page `/demo` of `minwallet demo`: a game to play, what the wallet makes of it, and a provider that misbehaves.

It is served by the wallet, but what is played there goes the long way: the page asks the demo provider over HTTP, and
the provider calls the wallet as it would call any other.
"""

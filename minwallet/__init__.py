"""A seamless wallet for casino players' money, in one SQLite file."""

__version__ = "0.1.0"

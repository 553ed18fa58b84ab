"""The tests of minwallet.testing."""

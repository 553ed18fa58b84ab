"""Tests of the operator's services."""

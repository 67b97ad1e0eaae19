"""Tests; a package, so that they can import `tests.factories` and `tests.strategies`."""

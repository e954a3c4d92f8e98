"""Differential tests: the same program on PyTorch (the oracle) and on the library under test."""

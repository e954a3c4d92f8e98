"""Random programs run on PyTorch and on the library under test in lock-step."""

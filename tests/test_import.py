"""What `import flambeau` brings with it."""

import subprocess
import sys

PROGRAM = """
import sys
import flambeau
unwanted = {"torch", "matplotlib", "tqdm", "sklearn", "flambeau.nn", "flambeau.optim"}
print(sorted(unwanted & set(sys.modules)))
for name in ("nn", "optim", "utils", "datasets", "serialization", "autograd"):
    getattr(flambeau, name)
print(sorted({"torch", "matplotlib", "tqdm", "sklearn"} & set(sys.modules)))
"""


def test_nothing_but_jax_and_ourselves():
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.split("\n")[:2] == ["[]", "[]"]

"""The folder of compiled programs: on by default, off on demand, and no harm where it cannot be."""

import os
import subprocess
import sys

RUN = """
import warnings
warnings.simplefilter("error")
import os
import flambeau, jax
flambeau.config.tier = "xla"
if "SPOILED" in os.environ:
    os.rmdir(flambeau.config.compilation_cache)
    open(flambeau.config.compilation_cache, "w").close()
x = flambeau.ones(3, requires_grad=True)
(x * 2).sum().backward()
print(jax.config.jax_compilation_cache_dir, flambeau.config.compilation_cache, sep="|")
"""


def run(**environment):
    """What JAX and flambeau say where the cache is, in a fresh process."""
    hidden = ("JAX_COMPILATION_CACHE_DIR", "FLAMBEAU_COMPILATION_CACHE", "XDG_CACHE_HOME")
    kept = {k: v for k, v in os.environ.items() if k not in hidden}
    process = subprocess.run(
        [sys.executable, "-c", RUN],
        env={**kept, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return process.stdout.strip().split("|")


def test_programs_are_kept_in_the_users_cache_folder(tmp_path):
    folder = tmp_path / "flambeau" / "programs"
    assert run(XDG_CACHE_HOME=str(tmp_path)) == [str(folder)] * 2
    kept = sorted(p.name for p in folder.iterdir())
    assert any(name.startswith("jit_") for name in kept)


def test_another_folder_and_none(tmp_path):
    other = str(tmp_path / "other")
    assert run(FLAMBEAU_COMPILATION_CACHE=other) == [other, other]
    assert run(FLAMBEAU_COMPILATION_CACHE="0") == ["None", "None"]


def test_the_users_setting_of_jax_goes_first(tmp_path):
    own = str(tmp_path / "own")
    found = run(JAX_COMPILATION_CACHE_DIR=own, XDG_CACHE_HOME=str(tmp_path))
    assert found[0] == own
    assert not (tmp_path / "flambeau").exists()


def test_a_folder_that_cannot_be_made_is_not_used(tmp_path):
    (tmp_path / "flambeau").write_text("a file in the way")
    assert run(XDG_CACHE_HOME=str(tmp_path)) == ["None", "None"]


def test_a_folder_that_is_spoiled_later_costs_the_cache_alone(tmp_path):
    folder = tmp_path / "flambeau" / "programs"
    assert run(XDG_CACHE_HOME=str(tmp_path), SPOILED="1") == [str(folder)] * 2
    assert folder.is_file()

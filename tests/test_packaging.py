"""What a user gets from the wheel and from the sdist is all of it, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
UNSHIPPED = {"__pycache__"}


def package_files() -> set[str]:
    """Every file of the package, under its installed name; links are followed."""
    found = set()
    for folder, folders, files in os.walk(ROOT / "lte_chains", followlinks=True):
        folders[:] = [name for name in folders if name not in UNSHIPPED]
        found.update(str((Path(folder) / name).relative_to(ROOT)) for name in files)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from the sdist."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("lte_chains", "integrations", "training"):
        shutil.copytree(
            ROOT / name,
            source / name,
            symlinks=True,
            ignore=shutil.ignore_patterns(*UNSHIPPED),
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, source],
        check=True,
        capture_output=True,
        text=True,
    )
    return dist


def wheel_names(dist: Path) -> set[str]:
    [wheel] = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_subpackage_is_named_in_pyproject() -> None:
    folders = {Path(name).parent.parts for name in package_files() if "/assets/" not in name}
    packages = {".".join(parts) for parts in folders if all(map(str.isidentifier, parts))}
    assert sorted(packages) == PROJECT["tool"]["setuptools"]["packages"]


def test_all_extra_holds_every_other_extra() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    assert extras["all"] == [f"lte-chains[{','.join(sorted(set(extras) - {'all'}))}]"]


def test_every_distribution_that_make_installs_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all("==" in pin and "+" not in pin and "/" not in pin for pin in pins)
    assert "torch==2.13.0" in pins


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_package(built: Path) -> None:
    shipped = {name for name in wheel_names(built) if ".dist-info/" not in name}
    assert shipped == package_files()


@pytest.mark.slow
@pytest.mark.parametrize(
    "needed",
    [
        "lte_chains/py.typed",
        "lte_chains/integrations/__init__.py",
        "lte_chains/training/__init__.py",
        "lte_chains/training/recipes/lte-tiny.yaml",
        "lte_chains/training/recipes/lte-tiny-first.yaml",
        "lte_chains/training/recipes/lte-tiny-base.yaml",
        "lte_chains/assets/lte-tiny/config.json",
        "lte_chains/assets/lte-tiny/model.safetensors",
        "lte_chains/assets/lte-tiny/tokenizer.json",
    ],
)
def test_wheel_holds(built: Path, needed: str) -> None:
    assert needed in wheel_names(built)


@pytest.mark.slow
def test_sdist_holds_the_sources_of_the_mapped_packages(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"integrations/__init__.py", "training/__init__.py", "LICENSE"} <= names
    assert "lte_chains/py.typed" in names


@pytest.mark.slow
def test_the_wheel_works_away_from_the_repository(built: Path, tmp_path: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import lte_chains.integrations, lte_chains.training\n"
        "print(lte_chains.__file__, lte_chains.training.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(str(tmp_path) in place for place in done.stdout.split())

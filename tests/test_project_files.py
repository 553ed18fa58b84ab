"""The files that other programs read: the CI workflow, the pre-commit hooks, the type marker."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.long

BIN = Path(sys.executable).parent
WORKFLOW = ROOT / ".github/workflows/ci.yml"


def run_tool(*arguments: object) -> None:
    """Run a development tool; fail with what it printed if it does not succeed."""
    done = subprocess.run([str(each) for each in arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_matches_the_schema_of_github() -> None:
    """The CI workflow is valid by GitHub's published JSON schema."""
    run_tool(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW)


def test_the_workflow_runs_the_same_script_as_any_other_ci() -> None:
    """The workflow adds nothing of its own to `.ci/run`."""
    assert "bash .ci/run" in WORKFLOW.read_text("utf-8")
    assert (ROOT / ".ci/run").exists()


def test_the_pre_commit_hooks_are_valid() -> None:
    """The hooks match pre-commit's schema, and each of them calls a tool that the environment has."""
    run_tool(BIN / "pre-commit", "validate-config")
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    tools = [line.split(".venv/bin/")[1].split()[0] for line in text.splitlines() if "entry: " in line]
    assert tools
    assert [tool for tool in tools if not (BIN / tool).exists()] == []


def test_the_package_is_marked_as_typed() -> None:
    """Type checkers of other projects read the annotations (PEP 561)."""
    assert (ROOT / "minwallet/py.typed").exists()
    assert "Typing :: Typed" in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]

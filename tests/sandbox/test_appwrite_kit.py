"""The recorded behaviour of real Appwrite servers, scenario by scenario."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.appwrite_api import running

KIT = Path(__file__).resolve().parents[2] / "../shared/data/appwrite"
VERSIONS = ["1.9.6", "1.8.1"]
TOPICS = [
    "server",
    "auth",
    "schema",
    "create",
    "timestamps",
    "read",
    "patch",
    "upsert",
    "bulk",
    "compare-and-set",
    "writers",
    "delete",
]

pytestmark = pytest.mark.skipif(not KIT.is_dir(), reason="the conformance kit is not beside the repository")


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The address of one stand-in for each imitated version."""
    states = [tmp_path_factory.mktemp("appwrite") for _ in VERSIONS]
    with running(states[0], VERSIONS[0]) as newer, running(states[1], VERSIONS[1]) as older:
        yield {VERSIONS[0]: newer.root, VERSIONS[1]: older.root}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("topic", TOPICS)
def test_the_stand_in_answers_as_the_recorded_server(topic: str, version: str, addresses: dict[str, str]) -> None:
    command = [sys.executable, str(KIT / "appwrite_conformance.py"), "--endpoint", f"{addresses[version]}/v1"]
    keys = ["--project", "sandbox", "--key", "sandbox", "--read-key", "sandbox-read"]
    expected = ["--expect", str(KIT / f"expectations-{version}.json"), "--only", topic]
    run = subprocess.run([*command, *keys, *expected], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"ok   {topic}: " in run.stdout

"""A linter judges the image. Where a builder is installed, the image is built and run."""

import json
import os
import re
import shutil
import subprocess
import tomllib
import uuid

import pytest

from support.deployment import DEPLOY, PROJECT, run_tool, tool
from support.waiting import wait_until

CONTAINERFILE = DEPLOY / "container" / "Containerfile"
TEXT = CONTAINERFILE.read_text()
BASE = os.environ.get("GLADLY_SEGMENT_TEST_BASE")


def test_a_linter_finds_nothing():
    """hadolint finds nothing wrong. It does find something in a build that runs as root."""
    good = run_tool("hadolint", "--no-color", CONTAINERFILE)
    assert (good.returncode, good.stdout) == (0, "")
    bad = subprocess.run(
        [tool("hadolint"), "-"],
        input=TEXT.replace("USER 10001:10001", "USER root"),
        capture_output=True,
        text=True,
    )
    assert "DL3002" in bad.stdout


def test_all_that_the_build_needs_is_let_in_and_nothing_else():
    """.dockerignore lets in what pyproject.toml packages, and nothing more."""
    ignored, *rest = [
        line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    ]
    let_in = {line.removeprefix("!") for line in rest if line.startswith("!")}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], "requirements/run.lock"}
    assert ignored == "*"
    assert let_in == needed | set(wheel["packages"]) | set(wheel["force-include"])


def test_it_runs_as_a_user_by_number_that_is_not_root():
    """Kubernetes' runAsNonRoot cannot judge a name. The volume belongs to that user."""
    user = re.search(r"^USER (\d+):(\d+)$", TEXT, re.MULTILINE)
    assert user[1] == user[2] != "0"
    assert f"--owner={user[1]} --group={user[2]} --mode=700 /var/lib/gladly-segment" in TEXT


def test_signals_arrive_and_no_shell_is_between():
    """Every instruction that starts a process is in exec form."""
    commands = re.findall(r"^(?:ENTRYPOINT|CMD|    CMD) (.*)$", TEXT, re.MULTILINE)
    assert len(commands) == 3
    assert all(isinstance(json.loads(command), list) for command in commands)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    shutil.which("podman") is None or BASE is None,
    reason="podman is not installed, or GLADLY_SEGMENT_TEST_BASE does not name a base image with Python",
)
def test_it_is_built_and_delivers_on_a_read_only_root(tmp_path, sandbox):
    """
    The image is built from the project and run as docs/deploying.md says. It delivers, is healthy, and ends
    with 0.
    """
    name = f"gladly-segment-test-{uuid.uuid4().hex[:8]}"
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for file, secret in (
        ("gladly-api-token", sandbox.gladly.api_token),
        ("segment-write-key", sandbox.segment.write_key),
    ):
        (secrets / file).write_text(secret)
    customer = sandbox.world.add_customer("Zoë Quinn", emails=[{"normalized": "zoe@example.com"}])
    sandbox.world.open_conversation(customer)

    def podman(*arguments: str) -> str:
        ended = subprocess.run(["podman", *arguments], capture_output=True, text=True, cwd=PROJECT)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    try:
        podman(
            "build", "--format", "docker", "--build-arg", f"BASE={BASE}", "--tag", name,
            "--file", str(CONTAINERFILE), ".",
        )  # fmt: skip
        podman(
            "run", "--detach", "--name", name, "--network", "host", "--no-healthcheck",
            "--env", f"GLADLY_SEGMENT_GLADLY__BASE_URL={sandbox.gladly_url}",
            "--env", f"GLADLY_SEGMENT_GLADLY__USERNAME={sandbox.gladly.username}",
            "--env", f"GLADLY_SEGMENT_SEGMENT__BASE_URL={sandbox.segment_url}",
            "--env", "GLADLY_SEGMENT_SYNC__EVERY=1s", "--env", "GLADLY_SEGMENT_SYNC__START=10m",
            "--volume", f"{secrets}:/run/secrets:ro", "--volume", f"{name}:/var/lib/gladly-segment",
            "--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges",
            name,
        )  # fmt: skip
        wait_until(lambda: sandbox.inbox.received, timeout_s=30)
        health = json.loads(podman("image", "inspect", "--format", "{{json .HealthCheck}}", name))
        assert health["Test"][0] == "CMD"
        podman("exec", name, *health["Test"][1:])
        podman("stop", "--time", "20", name)
        assert podman("inspect", "--format", "{{.State.ExitCode}}", name) == "0"
    finally:
        for leftover in (["rm", "--force", name], ["volume", "rm", name], ["rmi", name]):
            subprocess.run(["podman", *leftover], capture_output=True)

"""Kubernetes' own schemas judge the manifest. It is compared with the image and the settings."""

import re
import tomllib

import pytest
import yaml

from support.deployment import DEPLOY, run_tool
from sync.settings.loading import load

MANIFEST = DEPLOY / "kubernetes" / "gladly-segment.yaml"
IMAGE = (DEPLOY / "container" / "Containerfile").read_text()
OBJECTS = {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text())}
POD = OBJECTS["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def test_the_schemas_accept_it(tmp_path):
    """The check is strict, because Kubernetes would silently drop a field that does not exist."""
    good = run_tool("kubernetes-validate", "--strict", MANIFEST)
    assert good.returncode == 0, good.stdout + good.stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text(MANIFEST.read_text().replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    assert run_tool("kubernetes-validate", "--strict", bad).returncode != 0


def test_the_state_file_has_one_writer():
    """There is one pod, and the old one ends before the new one begins."""
    spec = OBJECTS["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert OBJECTS["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_it_runs_as_the_images_user_and_may_do_nothing_else():
    """It meets the restricted pod security standard, and its root file system is read-only."""
    user = int(re.search(r"^USER (\d+)", IMAGE, re.MULTILINE)[1])
    assert POD["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is POD["enableServiceLinks"] is False


def test_its_parts_find_each_other():
    """Labels, names of volumes, and the paths that the image reads and writes fit together."""
    (name,) = {each["metadata"]["name"] for each in OBJECTS.values()}
    deployment = OBJECTS["Deployment"]["spec"]
    assert (
        deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    )
    sources = {each.pop("name"): each for each in map(dict, POD["volumes"])}
    assert sources["state"] == {"persistentVolumeClaim": {"claimName": name}}
    assert sources["config"] == {"configMap": {"name": name}}
    assert sources["secrets"]["secret"]["secretName"] == name
    mounts = {each["name"]: each["mountPath"] for each in CONTAINER["volumeMounts"]}
    assert mounts.keys() == sources.keys()
    assert f"VOLUME {mounts['state']}\n" in IMAGE
    assert f"WORKDIR {mounts['config']}\n" in IMAGE
    for key in ("gladly-api-token", "segment-write-key"):
        assert f"={mounts['secrets']}/{key}" in IMAGE


def test_its_config_toml_is_understood(tmp_path, monkeypatch):
    """With the image's environment and the Secret's files, all settings are good."""
    (tmp_path / "config.toml").write_text(OBJECTS["ConfigMap"]["data"]["config.toml"])
    for variable, path in re.findall(r"(GLADLY_SEGMENT_\w+_FILE)=(\S+)", IMAGE):
        file = tmp_path / path.rpartition("/")[2]
        file.write_text("secret\n")
        monkeypatch.setenv(variable, str(file))
    monkeypatch.delenv("GLADLY_API_TOKEN", raising=False)
    monkeypatch.delenv("SEGMENT_WRITE_KEY", raising=False)
    settings = load(str(tmp_path / "config.toml")).settings
    assert settings.metrics.address[1] == CONTAINER["ports"][0]["containerPort"]
    annotations = OBJECTS["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(settings.metrics.address[1])


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe"])
def test_an_outage_restarts_nothing_for_hours(probe):
    """
    A restart does not end an outage. A pod that starts and is behind for a day, while it reads a long gap, is
    not killed.
    """
    command = CONTAINER[probe]["exec"]["command"]
    assert command == ["gladly-segment", "status", "--max-lag", "6h"]
    if probe == "startupProbe":
        assert CONTAINER[probe]["periodSeconds"] * CONTAINER[probe]["failureThreshold"] == 86_400


def test_its_toml_has_no_secret():
    """Secrets come as files. They are neither in the ConfigMap nor in the environment."""
    data = tomllib.loads(OBJECTS["ConfigMap"]["data"]["config.toml"])
    assert not {"api_token", "write_key"} & (data["gladly"].keys() | data["segment"].keys())
    assert "env" not in CONTAINER
    assert "envFrom" not in CONTAINER

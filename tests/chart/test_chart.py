"""The Helm chart, rendered by Helm itself and held against Kubernetes' own schemas and our reader of settings."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import __version__, settings

pytestmark = pytest.mark.chart

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "preceptor"
VERSIONS = ("1.30", "1.37")
"""Of Kubernetes."""
SQLITE = {"store": "sqlite", "replicas": 1}
EVERYTHING = {
    "replicas": 3,
    "server": {
        "workers": 2,
        "adminPort": 0,
        "more": 'admin_key = "x-of-16-letters-"\ncounters = "valkey://valkey:6379"',
    },
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "image": {"tag": "7", "pullSecrets": [{"name": "registry"}]},
    "autoscaling": {"enabled": True},
    "networkPolicy": {"from": [{"podSelector": {}}], "egress": [{"ports": [{"port": 5432}]}]},
    "serviceMonitor": {"enabled": True, "keyIn": "client-key", "labels": {"release": "prometheus"}},
    "podLabels": {"team": "platform"},
    "podAnnotations": {"note": "x"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
}
CHOICES: dict[str, dict[str, Any]] = {"none": {}, "sqlite": SQLITE, "everything": EVERYTHING}


@functools.cache
def chart() -> Any:
    import helm_python  # fetched by make chart

    return helm_python.Chart.load(CHART)


def objects(values: dict[str, Any], name: str = "gateway") -> list[dict[str, Any]]:
    """The objects that Helm would send to a cluster."""
    rendered = chart().render(values, name=name, namespace="teams")
    texts = [text for path, text in rendered.items() if path.endswith(".yaml")]
    return [made for text in texts for made in yaml.safe_load_all(text) if made]


def one(values: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = [made for made in objects(values) if made["kind"] == kind]
    return found


def pod(values: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = one(values, "Deployment")["spec"]["template"]["spec"]
    return spec


def container(values: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod(values)["containers"]
    return dict(found)


def configuration(values: dict[str, Any], secrets: Path) -> settings.Settings:
    """The settings of a Pod, read as the gateway reads them; each secret has the name of its file in it."""
    text = one(values, "ConfigMap")["data"]["preceptor.toml"]
    for name in re.findall(r'file:/run/secrets/preceptor/([^"]+)', text):
        secret = f"postgresql://{name}@h/db" if name == "store" else f"secret-of-{name}-with-letters"
        (secrets / name).write_text(secret)
    file = secrets / "preceptor.toml"
    file.write_text(text.replace("/run/secrets/preceptor", str(secrets)))
    return settings.load(file, {})


def test_helm_finds_nothing_to_complain_about() -> None:
    """``helm lint --strict``; that the chart has no icon is information."""
    import helm_python

    report = helm_python.lint(CHART, {}, strict=True, kube_version=f"v{VERSIONS[0]}.0")
    assert report["errors"] == [] and all(message["severity"] < 2 for message in report["messages"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("choice", CHOICES)
def test_kubernetes_takes_every_object(choice: str, version: str) -> None:
    """No unknown field, no wrong type, by the schemas of an older and a newer version. A monitor is the operator's."""
    import kubernetes_validate

    made = [entry for entry in objects(CHOICES[choice]) if entry["kind"] != "ServiceMonitor"]
    assert len(made) >= 6
    for entry in made:
        kubernetes_validate.validate(entry, version, strict=True)


def test_the_configuration_is_one_that_the_gateway_reads(tmp_path: Path) -> None:
    """The chart's own part and the example; the store's address comes from the Secret."""
    read = configuration({}, tmp_path)
    assert (read.server.host, read.server.port, read.server.admin_port) == ("0.0.0.0", 8100, 8101)
    assert read.server.store == "postgresql://store@h/db" and read.server.data_dir == Path("/data")
    assert read.tasks and read.keys


def test_further_lines_of_the_server_are_read(tmp_path: Path) -> None:
    """They stand in the same section as the chart's own."""
    read = configuration(EVERYTHING, tmp_path)
    assert (read.server.workers, read.server.admin_port) == (2, None)
    assert read.server.counters == "valkey://valkey:6379" and read.server.admin_key == "x-of-16-letters-"


def test_sqlite_lies_on_a_volume_of_its_own(tmp_path: Path) -> None:
    """It outlives the Pod and the release, and no second Pod writes to it while the first one is there."""
    read, claim, deployment = (
        configuration(SQLITE, tmp_path),
        one(SQLITE, "PersistentVolumeClaim"),
        one(SQLITE, "Deployment"),
    )
    assert read.server.store is None
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    volumes = {volume["name"]: volume for volume in pod(SQLITE)["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"store": "sqlite", "replicas": 2}, "replicas: 1"),
        ({"store": "sqlite", "replicas": 1, "autoscaling": {"enabled": True}}, "autoscaling.enabled: false"),
        ({"secretName": ""}, "needs secretName"),
        ({"configuration": "[tasks.a]\n[server]\nport = 1\n"}, "server.more"),
        ({"server": {"lame_duck_s": 5}}, "lame_duck_s"),
        ({"replica": 3}, "replica"),
        ({"store": "mysql"}, "store"),
    ],
)  # fmt: skip
def test_values_that_cannot_work_are_refused(values: dict[str, Any], words: str) -> None:
    """With words that say what to do, or that name the value."""
    import helm_python

    with pytest.raises(helm_python.HelmError, match=re.escape(words)):
        objects(values)


@pytest.mark.parametrize("times", [{}, {"lameDuckSeconds": 0.5, "drainSeconds": 900}])
def test_a_pod_has_time_for_its_lame_duck_and_its_drain(times: dict[str, float], tmp_path: Path) -> None:
    """And ten seconds more for the last writes, before Kubernetes kills it."""
    values = {"server": times}
    server = configuration(values, tmp_path).server
    assert pod(values)["terminationGracePeriodSeconds"] >= server.lame_duck_s + server.drain_s + 10


def test_the_probes_ask_for_the_process_and_for_the_service_apart(tmp_path: Path) -> None:
    """A dead database or provider restarts nobody; a Pod that leaves is seen before it stops accepting."""
    made, server = container({}), configuration({}, tmp_path).server
    paths = {probe: made[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    ports = {port["name"]: port["containerPort"] for port in made["ports"]}
    assert ports == {"http": server.port, "admin": server.admin_port}
    readiness = made["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < server.lame_duck_s


@pytest.mark.parametrize("choice", CHOICES)
def test_a_pod_can_do_nothing_but_serve(choice: str) -> None:
    """Not root, no capability, no token of the cluster; it writes into its volumes only."""
    spec, made = pod(CHOICES[choice]), container(CHOICES[choice])
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 8100
    assert spec["automountServiceAccountToken"] is False
    context = made["securityContext"]
    assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    writable = {mount["mountPath"] for mount in made["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/data", "/tmp"}  # noqa: S108 - the Pod's own


def selectors(made: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The labels of Pods that an object is about."""
    spec = made["spec"]
    if made["kind"] == "Service":
        yield spec["selector"]
    for name in ("selector", "podSelector"):
        if "matchLabels" in spec.get(name, {}):
            yield spec[name]["matchLabels"]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_object_finds_its_pods(choice: str) -> None:
    """Services, the budget and the policy select the labels of the Pods; the monitor selects those of a Service."""
    made = objects(CHOICES[choice])
    labels = one(CHOICES[choice], "Deployment")["spec"]["template"]["metadata"]["labels"]
    services = [entry["metadata"]["labels"] for entry in made if entry["kind"] == "Service"]
    found = 0
    for entry in made:
        if "spec" not in entry or entry["kind"] == "PersistentVolumeClaim":
            continue
        for wanted in selectors(entry):
            targets = services if entry["kind"] == "ServiceMonitor" else [labels]
            assert any(wanted.items() <= target.items() for target in targets), entry["kind"]
            found += 1
    assert found >= 3


def test_a_changed_configuration_replaces_the_pods() -> None:
    """Its checksum stands in their template."""
    plain = one({}, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    changed = one({"server": {"drainSeconds": 61}}, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert plain != changed


def test_the_chart_has_the_version_of_the_gateway() -> None:
    """Its image, unless another tag is wanted."""
    assert chart().metadata["appVersion"] == __version__
    assert container({})["image"] == f"preceptor:{__version__}" and container(EVERYTHING)["image"] == "preceptor:7"

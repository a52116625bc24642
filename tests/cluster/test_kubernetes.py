"""deploy/kubernetes without a Kubernetes: its schemas, that all names meet, and the very commands of the pods as processes
on loopback, which give the bits of one process."""
import contextlib
import copy
import os
import re
import signal
import subprocess
import urllib.request

import kubernetes_validate
import pytest
import yaml

from cluster_support import final_weights
from deploy_support import DEPLOY, text_of, wait_until
from support import LONGSHOT, ROOT, longshot, tiny_model

FOLDER = DEPLOY / "kubernetes"
NOT_OF_KUBERNETES = ("adapter.yaml", "podmonitor.yaml")  # Helm's values, and a type of Prometheus' operator


def load(file):
    return [one for one in yaml.safe_load_all((FOLDER / file).read_text()) if one]


KUSTOMIZATION = load("kustomization.yaml")[0]
OPTIONAL = ["autoscaling/hpa.yaml", "trainers.yaml"]
OBJECTS = [one for file in [*KUSTOMIZATION["resources"], *OPTIONAL] for one in load(file)]
OBJECTS_WITH_SPEC = [one for one in OBJECTS if "spec" in one]


def find(kind, name):
    found = [one for one in OBJECTS if one["kind"] == kind and one["metadata"]["name"] == name]
    assert len(found) == 1, (kind, name)
    return found[0]


def templates():
    return [(one["metadata"]["name"], one, one["spec"]["template"]) for one in OBJECTS_WITH_SPEC
            if "template" in one["spec"]]


def container(name):
    return next(template for found, _, template in templates() if found == name)["spec"]["containers"][0]


def selected(labels):
    return [template for _, _, template in templates()
            if labels.items() <= template["metadata"]["labels"].items()]


@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_every_object_matches_its_schema(version):
    for one in OBJECTS:
        assert kubernetes_validate.validate(one, version, strict=True) == version


def test_the_schemas_refuse_what_is_misspelt():
    job = copy.deepcopy(find("Job", "coordinator"))
    job["spec"]["template"]["spec"]["terminationGracePeriod"] = 5
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, "1.37", strict=True)


def test_the_kustomization_names_every_file():
    there = {str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) | {f"autoscaling/{name}" for name in NOT_OF_KUBERNETES} | set(OPTIONAL) == there
    made = KUSTOMIZATION["configMapGenerator"] + KUSTOMIZATION["secretGenerator"]
    for one in made:
        for file in one.get("files", []) + one.get("envs", []):
            assert file == "token" or (FOLDER / file).is_file()
    assert "/deploy/kubernetes/token" in (ROOT / ".gitignore").read_text().splitlines()
    assert KUSTOMIZATION["namespace"] == find("Namespace", "longshot")["metadata"]["name"]


def test_every_name_that_a_pod_uses_exists():
    made = {kind: {one["name"] for one in KUSTOMIZATION[f"{kind}Generator"]} for kind in ("configMap", "secret")}
    for name, owner, template in templates():
        spec = template["spec"]
        volumes = {one["name"]: one for one in spec.get("volumes", [])}
        claims = {one["metadata"]["name"] for one in owner["spec"].get("volumeClaimTemplates", [])}
        for one in volumes.values():
            assert one.get("configMap", {}).get("name", "run-config") in made["configMap"]
            assert one.get("secret", {}).get("secretName", "token") in made["secret"]
            if "persistentVolumeClaim" in one:
                find("PersistentVolumeClaim", one["persistentVolumeClaim"]["claimName"])
        for box in spec["containers"]:
            assert {one["name"] for one in box["volumeMounts"]} == set(volumes) | claims, name
            assert all(one["configMapRef"]["name"] in made["configMap"] for one in box.get("envFrom", []))
            ports = {one["name"] for one in box["ports"]}
            variables = {one["name"] for one in box["env"]}
            assert all(box[kind]["httpGet"]["port"] in ports for kind in box if kind.endswith("Probe"))
            assert set(re.findall(r"\$\((\w+)\)", " ".join(box["args"]))) <= variables
            assert box["image"] in ("longshot", "quay.io/coreos/etcd:v3.5.17")
        if "selector" in owner["spec"]:
            assert owner["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert [one["name"] for one in KUSTOMIZATION["images"]] == ["longshot"]


def test_services_and_policies_meet_pods_and_ports():
    for one in OBJECTS_WITH_SPEC:
        spec = one["spec"]
        if one["kind"] == "Service":
            [template] = selected(spec["selector"])
            ports = {(port["name"], port["containerPort"]) for port in template["spec"]["containers"][0]["ports"]}
            assert {(port["name"], port["port"]) for port in spec["ports"]} <= ports
        if one["kind"] == "NetworkPolicy" and spec["podSelector"]:
            [template] = selected(spec["podSelector"]["matchLabels"])
            ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
            rules = spec["ingress"]
            # Every port has a reader; all ports are open to pods of the same kind at most.
            assert all("ports" in rule or rule["from"] == [{"podSelector": spec["podSelector"]}] for rule in rules)
            open_to_own = any("ports" not in rule for rule in rules)
            named = {port["port"] for rule in rules for port in rule.get("ports", [])}
            assert named <= ports and (open_to_own or named == ports)
            for peer in [peer.get("podSelector", {}).get("matchLabels") for rule in rules for peer in rule["from"]]:
                assert peer is None or selected(peer)
    assert find("StatefulSet", "etcd")["spec"]["serviceName"] == find("Service", "etcd")["metadata"]["name"]
    members = find("StatefulSet", "etcd")["spec"]["replicas"]
    for text in (" ".join(container("etcd")["args"]), (FOLDER / "run.env").read_text()):
        assert set(re.findall(r"etcd-(\d)\.etcd", text)) == {str(member) for member in range(members)}


def test_sizes_that_depend_on_one_another():
    hpa = find("HorizontalPodAutoscaler", "workers")["spec"]
    find(hpa["scaleTargetRef"]["kind"], hpa["scaleTargetRef"]["name"])
    [metric] = hpa["metrics"]
    worker = container("workers")
    assert f"--slots={metric['external']['target']['averageValue']}" in worker["args"]
    assert f"--threads={worker['resources']['requests']['cpu']}" in worker["args"]
    rule = load("autoscaling/adapter.yaml")[0]["rules"]["external"][0]
    assert rule["name"]["as"] == metric["external"]["metric"]["name"]
    trainers, box = find("Job", "trainers")["spec"], container("trainers")
    count = trainers["completions"]
    values = {one["name"]: one.get("value") for one in box["env"]}
    assert trainers["parallelism"] == count == int(values["WORLD_SIZE"]) and f"trainer.lanes={count}" in box["args"]
    assert values["MASTER_ADDR"] == f"trainers-0.{find('Service', 'trainers')['metadata']['name']}"
    assert trainers["template"]["spec"]["subdomain"] == find("Service", "trainers")["metadata"]["name"]
    assert int(values["MASTER_PORT"]) in {one["containerPort"] for one in box["ports"]}
    for name in ("workers", "coordinator", "trainers"):
        memory = next(one for found, _, template in templates() if found == name
                      for one in template["spec"]["volumes"] if one["name"] == "memory")["emptyDir"]
        limit = container(name)["resources"]["limits"]["memory"]
        assert memory["medium"] == "Memory" and 2 * int(memory["sizeLimit"][:-2]) <= int(limit[:-2])


class Pod:
    """The command of a container as a process: mounted folders are folders of the test, and its address one of loopback's
    that no other test uses."""

    def __init__(self, site, name, owner, index, rank=0):
        self.site, self.name, self.address, box = site, name, site.address(index), container(owner)
        self.box, self.log = box, site.root / f"{name}.log"
        variables = {"POD_NAME": name, "POD_IP": self.address}
        environment = {"PATH": os.environ["PATH"], "HOME": str(site.root)}
        if "envFrom" in box:
            environment["LONGSHOT_CLUSTER"] = site.url
        for one in box["env"]:
            if one["name"] == "RANK":
                environment["RANK"] = str(rank)
            elif "value" in one:
                environment[one["name"]] = site.here(one["value"])
        words = [*box["command"], *box["args"]]
        for variable, value in variables.items():
            words = [word.replace(f"$({variable})", value) for word in words]
        words = [LONGSHOT if word == "longshot" else site.here(word, name) for word in words]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env=environment, cwd=ROOT)

    def probe(self, kind):
        """Whether the probe of the manifest succeeds."""
        get = self.box[kind]["httpGet"]
        port = next(one["containerPort"] for one in self.box["ports"] if one["name"] == get["port"])
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://{self.address}:{port}{get['path']}", timeout=5) as answer:
                return answer.status == 200
        return False

    def get(self, path, port, token):
        request = urllib.request.Request(f"http://{self.address}:{port}{path}",
                                         headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()


class Site:
    def __init__(self, root, model, data):
        self.root, self.pods = root, []
        self.runs = root / "runs"
        self.runs.mkdir()
        (self.runs / "model").symlink_to(model)
        (self.runs / "data").symlink_to(data)
        self.token = root / "token"
        self.token.write_text("secret\n")
        (root / "config").mkdir()
        config = (FOLDER / "config.toml").read_text().replace("/runs/", f"{self.runs}/")
        (root / "config/config.toml").write_text(config.replace("total_iterations = 60", "total_iterations = 4"))
        url = (FOLDER / "run.env").read_text().strip().removeprefix("LONGSHOT_CLUSTER=")
        # The name is that of a folder in /dev/shm.
        self.url = self.here(url).rsplit("/", 1)[0] + f"/kubernetes-{os.getpid()}"

    def address(self, index):
        return f"127.{1 + os.getpid() // 250 % 250}.{1 + os.getpid() % 250}.{index}"

    def here(self, text, name=""):
        """With the test's folders and addresses in place of the cluster's."""
        for member in range(3):
            text = text.replace(f"etcd-{member}.etcd:", f"{self.address(10 + member)}:")
        for host in ("trainers-0.trainers", "trainers-0"):
            text = text.replace(host, self.address(30))
        for path, folder in (("/etc/longshot/", f"{self.root}/config/"), ("/etc/longshot-token/", f"{self.root}/"),
                             ("/var/lib/etcd/", f"{self.root}/{name}/")):
            text = text.replace(path, folder)
        return text

    def start(self, name, owner, index, rank=0):
        self.pods.append(Pod(self, name, owner, index, rank))
        return self.pods[-1]

    def logs(self):
        return "".join(f"--- {pod.name}\n{text_of(pod.log)}" for pod in self.pods)

    def close(self):
        for pod in self.pods:
            if pod.process.poll() is None:
                pod.process.kill()
            pod.process.wait(30)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("kubernetes")
    made = Site(root, *tiny_model(root, steps=150))
    yield made
    made.close()


def test_the_commands_of_the_pods_run_and_give_the_bits_of_one_process(site):
    members = [site.start(f"etcd-{i}", "etcd", 10 + i) for i in range(3)]
    wait_until(lambda: all(pod.probe("readinessProbe") for pod in members), what=site.logs)
    workers = [site.start(f"workers-{i}", "workers", 20 + i) for i in range(2)]
    wait_until(lambda: all(pod.probe("startupProbe") for pod in workers), what=site.logs)
    coordinator = site.start("coordinator", "coordinator", 1)
    wait_until(lambda: coordinator.probe("startupProbe") or coordinator.process.poll() is not None, what=site.logs)
    assert coordinator.process.wait(120) == 0, site.logs()
    assert all(pod.process.wait(30) == 0 for pod in workers), site.logs()
    longshot("train", site.root / "config/config.toml", f"trainer.default_local_dir={site.root}/whole")
    assert final_weights(site.runs / "first", 4) == final_weights(site.root / "whole", 4)


def test_a_pod_that_is_evicted_saves_and_the_next_one_shows_the_metrics(site):
    (site.root / "config/config.toml").write_text(
        (site.root / "config/config.toml").read_text().replace(f"{site.runs}/first", f"{site.runs}/second"))
    evicted = site.start("coordinator-1", "coordinator", 1)  # without workers it waits
    wait_until(lambda: evicted.probe("readinessProbe"), what=site.logs)
    page = evicted.get("/metrics", 7001, site.token.read_text().strip())
    for name in set(re.findall(r"longshot_cluster_\w+", (FOLDER / "autoscaling/adapter.yaml").read_text())):
        assert f"\n{name} " in page
    evicted.process.send_signal(signal.SIGTERM)
    assert evicted.process.wait(60) == 130, site.logs()
    rules = find("Job", "coordinator")["spec"]["podFailurePolicy"]["rules"]
    assert 130 not in rules[0]["onExitCodes"]["values"]


def test_several_trainers_give_the_bits_of_one_process(site):
    config = site.root / "config/config.toml"
    config.write_text(config.read_text().replace(f"{site.runs}/second", f"{site.runs}/gang"))
    trainers = [site.start(f"trainers-{rank}", "trainers", 30 + rank, rank) for rank in range(2)]
    workers = [site.start(f"workers-{index}", "workers", 20 + index) for index in range(2, 4)]
    assert all(pod.process.wait(120) == 0 for pod in trainers + workers), site.logs()
    longshot("train", config, "trainer.lanes=2", f"trainer.default_local_dir={site.root}/whole_lanes")
    assert final_weights(site.runs / "gang", 4) == final_weights(site.root / "whole_lanes", 4)

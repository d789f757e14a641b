"""What the Kubeflow pipeline lacks, for ``expunge stack check --kubeflow``: its compiler and the cluster are asked.

Kubeflow's own server is not: which pipelines and recurring runs it has, only that one knows.
"""

import os
import tempfile
from pathlib import Path

from kubernetes import client

from expunge.cli.stack_checks import Finding, Missing, asked, asked_apart
from expunge.errors import ExpungeError
from infra.kubeflow.settings import CONFIGS, KubeflowSettings, Toleration, check_image, read_settings
from infra.kubernetes.cluster_check import ClusterCheck, Wanted, ask_cluster
from infra.kubernetes.stack_settings import Place, Resources

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-kubeflow" / "bin" / "python"


class KubeflowCheck(ClusterCheck):
    """Asks a cluster for what the pipeline's two containers need."""

    questions = ("clock", "namespace", "secrets", "configuration", "nodes", "image")

    def __init__(self, settings: KubeflowSettings, image: str) -> None:
        self.settings = settings
        secrets = {name: [*keys.values()] for name, keys in settings.secrets.items()}
        if settings.signing_keys:
            secrets.setdefault(settings.signing_keys, []).extend(["certificate.pem", "model.pem"])
        for name in settings.image_pull_secrets:
            secrets.setdefault(name, [])
        device = settings.accelerator
        unlearning = Place(
            resources=Resources(limits={device.type: str(device.limit)} if device else {}),
            node_selector=settings.node_selector,
            tolerations=[_toleration(each) for each in settings.tolerations],
        )
        wanted = Wanted(
            context=settings.context,
            namespace=settings.namespace,
            image=image,
            secrets=secrets,
            places={"pending": Place(), "retrain": unlearning},
            make="name the one that runs' pods are in under 'namespace'; Kubeflow makes it with its profile",
            pull_secrets=settings.image_pull_secrets,
        )
        super().__init__(wanted)

    def configuration(self) -> str:
        """That the ConfigMap has the file that runs take."""
        name, config = self.settings.config_map, self.settings.config
        if not name:
            return f"{config}, in the image"
        make = f"kubectl -n {self._where} create configmap {name} --from-file=FILE"
        held = self._found(client.CoreV1Api(self._api).read_namespaced_config_map, name, self._where)
        if held is None:
            raise Missing(f"there is no config map {name} in {self._where}", make)
        key = config.removeprefix(f"{CONFIGS}/")
        if key != config and key not in {*(held.data or {}), *(held.binary_data or {})}:
            raise Missing(f"config map {name} has no {key}", make)
        return f"{config}, with config map {name}"


def _toleration(given: Toleration) -> dict[str, str | int]:
    how = {"operator": "Equal", "value": given.value} if given.value else {"operator": "Exists"}
    return {"key": given.key, "effect": given.effect, **how}


def compiles(file: Path, image: str) -> str:
    """That the pipeline compiles, and Kubeflow's own messages read it; asked in the compiler's own environment.

    Raises:
        Missing: there is no such environment.
        ExpungeError: it does not compile.
    """
    if not PYTHON.exists():
        raise Missing("its compiler is not set up", "make setup-kubeflow")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    with tempfile.TemporaryDirectory() as folder:
        command = [str(PYTHON), "-m", "infra.kubeflow.compile", "--image", image, "--settings", str(file.resolve())]
        done = asked_apart([*command, "--out", f"{folder}/pipeline.yaml"], ROOT, clean)
    if done.returncode:
        raise ExpungeError(done.stderr.strip().rpartition("\n")[2].removeprefix("Error: ")[:300])
    return f"compiles for {image}"


def check_kubeflow(file: Path, image: str) -> list[Finding]:
    """Ask the compiler and the cluster. Raises ExpungeError if the settings cannot be read or the image is none."""
    settings = read_settings(file)
    check_image(image)
    return [
        asked("Kubeflow's pipeline", lambda: compiles(file, image), "mend the settings, or make setup-kubeflow again"),
        *ask_cluster(lambda: KubeflowCheck(settings, image)),
    ]

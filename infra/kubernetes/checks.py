"""What a ZenML stack on Kubernetes lacks, for ``expunge stack check --kubernetes``."""

from pathlib import Path
from zoneinfo import available_timezones

from expunge.cli.stack_checks import Finding, Missing, asked
from infra.kubernetes.cluster_check import ClusterCheck, Wanted, ask_cluster
from infra.kubernetes.cron_jobs import ClusterSchedules
from infra.kubernetes.stack_settings import StackSettings, read_stack_settings
from infra.kubernetes.zenml_stack import find_stack

MANIFESTS = "python -m infra.kubernetes.stack --settings FILE --manifests | kubectl apply -f -"
REGION = "topology.kubernetes.io/region"  # a label of nodes


class StackCheck(ClusterCheck):
    """Asks also for what ZenML's pods and schedules need."""

    questions = (*ClusterCheck.questions, "bucket", "schedule")

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings
        wanted = Wanted(
            context=settings.context,
            namespace=settings.namespace,
            image=settings.image,
            secrets=settings.secret_keys(),
            places={
                "orchestrator": settings.orchestrator,
                "retrain": settings.retrain,
                **{f"jobs.{step}": place for step, place in settings.jobs.items()},
            },
            make=MANIFESTS,
            accounts=(settings.runner_account, settings.step_account),
            pull_secrets=[settings.pull_secret] if settings.pull_secret else [],
        )
        super().__init__(wanted)

    def bucket(self) -> str:
        """That artifacts lie in the region that pods ask, and where nodes are, as far as the store has regions."""
        from expunge.takedown.s3_store import S3Store

        place, variables = self.settings.artifacts, self.settings.variables
        if endpoint := variables.get("AWS_ENDPOINT_URL"):
            return f"at {endpoint}, a server without regions"
        region = S3Store(place).whereabouts().region
        if not region:
            return f"{place}, whose server names no region"
        pods = variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION") or region
        if pods != region:
            raise Missing(
                f"{place} lies in region {region}, and pods ask {pods}",
                f"variables: {{AWS_DEFAULT_REGION: {region}}}, or take a bucket in {pods}",
            )
        nodes = sorted({each["metadata"].get("labels", {}).get(REGION, region) for each in self._nodes()})
        if region not in nodes:
            raise Missing(
                f"{place} lies in region {region}, and the nodes in {', '.join(nodes)}",
                "take a bucket where the nodes are: every run carries weights and pictures to and fro",
            )
        return f"{place} in {region}"

    def schedule(self) -> str:
        """That one is installed which fires, in a zone that is known."""
        found = ClusterSchedules(self.settings).installed()
        install = "expunge schedule install --kubernetes --cron '0 3 * * *' --timezone Europe/Berlin"
        if not found:
            raise Missing(f"none is installed in {self._where}", install)
        for each in found:
            if each.timezone not in available_timezones():
                said = f"has no known time zone ('{each.timezone}')"
                raise Missing(f"'{each.name}' {said}", f"{install} --name {each.name}")
            if each.suspended:
                raise Missing(f"'{each.name}' is suspended", f"expunge schedule resume --kubernetes --name {each.name}")
        return ", ".join(f"{each.name}: {each.cron} in {each.timezone}" for each in found)


def check_cluster(settings: StackSettings) -> list[Finding]:
    """Ask the cluster for everything."""
    return ask_cluster(lambda: StackCheck(settings))


def check_kubernetes(file: Path) -> list[Finding]:
    """Ask ZenML and the cluster for what a file of settings names. Raises ExpungeError if it cannot be read."""
    settings = read_stack_settings(file)
    again = f"python -m infra.kubernetes.stack --settings {file}"
    return [asked("ZenML's stack", lambda: find_stack(file), again), *check_cluster(settings)]

"""Settings of a Kubernetes stack, as ``configs/stacks/kubernetes.yaml`` has them. Secrets are named, never held."""

from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from expunge.errors import ExpungeError
from expunge.settings import Settings
from infra.plain_variables import named_like_secrets, with_login

GPU = "nvidia.com/gpu"
# The steps that load a model, judge pictures or choose the device; the others need no GPU and no pod of their own.
HEAVY = (
    "resolve_case",
    "compare_pictures",
    "look_for_targets",
    "draw_pool",
    "diversify_datasets",
    "cache_gradients",
    "unlearn",
    "evaluate",
    "try_comeback",
    "name_case",
    "draw_shard",
)
# Which step chooses the device of these; of all others it is ``resolve_case``.
CHOOSERS = {"draw_shard": "name_case", "name_case": "name_case"}
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$")]
Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?(m|[kMGT]i?)?$")]


class SecretKey(Settings):
    """One entry of a Kubernetes secret."""

    secret: Name
    key: Annotated[str, StringConstraints(pattern=r"^[\w.-]+$")]


class Resources(Settings):
    """What a container asks for, and at most gets; quantities as Kubernetes writes them: ``500m``, ``4Gi``."""

    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}


class Place(Settings):
    """Where a pod may run."""

    resources: Resources = Resources()
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, str | int]] = []


class JobPlace(Place):
    """Where a step's own job runs, how long it may take, and how often it is tried again."""

    deadline_minutes: int = Field(default=240, ge=1, le=20160)
    retries: int = Field(default=2, ge=0, le=10, description="a pod that was killed, evicted or failed is replaced")


class ZenMLServer(Settings):
    """The ZenML server, as pods reach it."""

    url: str = Field(pattern=r"^https?://\S+$")
    api_key: SecretKey = Field(description="of a ZenML service account")


class RetrainPlace(Place):
    """The pod that a schedule starts; it submits the run and waits for it."""

    deadline_minutes: int = Field(default=1440, ge=1, le=20160)
    succeeded_kept: int = Field(default=3, ge=0, le=100)
    failed_kept: int = Field(default=3, ge=0, le=100)


class StackSettings(Settings):
    """One Kubernetes stack."""

    name: Name = "kubernetes"
    context: str = Field(min_length=1, description="of the kubeconfig, for those outside the cluster")
    namespace: Name = "expunge"
    image: str = Field(pattern=r"^\S+[:@]\S+$", description="with tag or, better, digest")
    pull_secret: Name | None = None
    artifacts: str = Field(pattern=r"^s3://[a-z0-9.-]+(/\S*)?$")
    zenml: ZenMLServer
    runner_account: Name = Field(default="expunge-runner", description="of pods that start jobs")
    step_account: Name = Field(default="expunge-step", description="of steps' own jobs, which may do nothing there")
    variables: dict[Variable, str] = {}
    secrets: dict[Variable, SecretKey] = {}
    signing_keys: Name | None = Field(default=None, description="a secret with certificate.pem and model.pem")
    keep_minutes: int = Field(default=1440, ge=1, description="jobs that ended, and the token of their run")
    start_minutes: int = Field(
        default=10, ge=0, le=1440, description="that a step's pod may wait for its image or a secret"
    )
    orchestrator: Place = Place()
    orchestrator_deadline_minutes: int = Field(default=1440, ge=1, le=20160)
    jobs: dict[str, JobPlace] = {}
    retrain: RetrainPlace = RetrainPlace()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if unknown := sorted(set(self.jobs) - set(HEAVY)):
            raise ValueError(f"jobs: no such step {', '.join(unknown)}; allowed are {', '.join(HEAVY)}")
        if told := named_like_secrets(self.variables):
            raise ValueError(f"variables: {told[0]} is a secret; put it under 'secrets' with its secret and key")
        if told := with_login(self.variables):
            raise ValueError(f"variables: {told[0]} holds a login; put name and password under 'secrets'")
        if twice := sorted(set(self.variables) & set(self.secrets)):
            raise ValueError(f"variables: {twice[0]} stands under 'secrets' too; keep one of them")
        with_gpu = [name for name, place in self.jobs.items() if GPU in place.resources.limits]
        for name in with_gpu:
            first = CHOOSERS.get(name, "resolve_case")
            if first not in with_gpu:
                raise ValueError(f"jobs: {first}, which chooses the device, needs a GPU as {name} does")
        return self

    def secret_keys(self) -> dict[str, list[str]]:
        """The keys that pods read, by secret."""
        found: dict[str, list[str]] = {}
        for each in (self.zenml.api_key, *self.secrets.values()):
            found.setdefault(each.secret, []).append(each.key)
        if self.signing_keys:
            found.setdefault(self.signing_keys, []).extend(["certificate.pem", "model.pem"])
        if self.pull_secret:
            found.setdefault(self.pull_secret, [])
        return found


def read_stack_settings(path: Path) -> StackSettings:
    """Read a file of settings.

    Raises:
        ExpungeError: there is no such file, it is no YAML, or a key or value in it is refused.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExpungeError(f"settings: {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ExpungeError(f"settings: {path} is no YAML: {' '.join(str(error).split())[:200]}") from error
    try:
        return StackSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        said = first["msg"].removeprefix("Value error, ")
        raise ExpungeError(f"{where}: {said}; mend it in {path}.") from error

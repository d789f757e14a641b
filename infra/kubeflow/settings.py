"""What a cluster's Kubeflow pipeline is made of, as people write it in a file: strict, and without a secret value."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from expunge.errors import ExpungeError
from expunge.settings import Settings
from expunge.takedown.plain_yaml import describe, read_plain_yaml
from infra.plain_variables import named_like_secrets, with_login

# A reference without tag or with "latest" is another image tomorrow.
IMAGE = re.compile(
    r"(?P<name>[a-z0-9][\w.-]*(:\d+)?(/[a-z0-9][\w.-]*)*)(:(?!latest\Z)[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})"
)
CONFIGS = "/etc/expunge/config"  # where the ConfigMap's files appear

Quantity = Annotated[str, Field(pattern=r"^[1-9]\d*(\.\d+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]  # of an object of Kubernetes'
DataKey = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]{1,253}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Label = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
LabelKey = Annotated[
    str, Field(pattern=r"^([a-z0-9][-a-z0-9.]{0,252}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
]


class Accelerator(Settings):
    """Of the container that unlearns.

    Attributes:
        type: the extended resource by which the cluster knows it.
        limit: how many, 1 or more.
    """

    type: Annotated[str, Field(pattern=r"^[a-z0-9][-a-z0-9.]*/[-a-zA-Z0-9_.]+$")] = "nvidia.com/gpu"
    limit: int = Field(default=1, ge=1, le=64)


class Toleration(Settings):
    """A taint that the pod puts up with; without ``value`` any value of that key.

    Attributes:
        key: of the taint.
        value: of the taint.
        effect: of the taint.
    """

    key: LabelKey
    value: Label = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class KubeflowSettings(Settings):
    """Of the pipeline and its two containers.

    Attributes:
        name: the pipeline's.
        config: of unlearn_pipeline, a path in the container; each run may name another one.
        config_map: a ConfigMap whose files appear in ``/etc/expunge/config``, for configurations that are not in the
            image; none if empty.
        context: of the kubeconfig, for ``expunge stack check``; the current one if empty.
        namespace: of runs' pods, for the same.
        accelerator: none if left out.
        cpu: cores that the unlearning container asks for.
        memory: what it asks for, which is also its limit.
        scratch: limit of each folder that a container may write to.
        node_selector: labels that the unlearning container's node must have.
        tolerations: of taints, for that container.
        environment: variables in clear; neither secrets nor addresses with a login.
        secrets: by the name of a Secret: its keys, by the variable that takes the value.
        signing_keys: a Secret with ``certificate.pem`` and ``model.pem``, mounted as files. Without it every run signs
            with keys of its own that are gone with its pod.
        image_pull_secrets: for the registry.
        retries: of each container, if it fails.
        backoff_seconds: before the first retry; doubles with each.
        deadline_minutes: how long unlearning may take before its pod is ended.
    """

    name: Name = "expunge"
    config: str = Field(default="configs/demo.yaml", min_length=1)
    config_map: Name | Literal[""] = ""
    context: str = ""
    namespace: Name = "kubeflow"
    accelerator: Accelerator | None = None
    cpu: Quantity = "4"
    memory: Quantity = "16Gi"
    scratch: Quantity = "20Gi"
    node_selector: dict[LabelKey, Label] = {}
    tolerations: tuple[Toleration, ...] = ()
    environment: dict[Variable, str] = {}
    secrets: dict[Name, dict[Variable, DataKey]] = {}
    signing_keys: Name | Literal[""] = ""
    image_pull_secrets: tuple[Name, ...] = ()
    retries: int = Field(default=2, ge=0, le=10)
    backoff_seconds: int = Field(default=60, ge=0, le=3600)
    deadline_minutes: int = Field(default=24 * 60, ge=1)

    @model_validator(mode="after")
    def _secrets_stay_references(self) -> Self:
        if shown := named_like_secrets(self.environment):
            raise ValueError(f"environment: {shown[0]} would stand in the pipeline in clear; name it under 'secrets'")
        # Here and not beside the field, for an error there shows the value.
        if shown := with_login(self.environment):
            raise ValueError(
                f"environment: {shown[0]} holds a login; put name and password into a Secret, named under 'secrets'"
            )
        given = [*self.environment, *(variable for keys in self.secrets.values() for variable in keys)]
        if twice := sorted({each for each in given if given.count(each) > 1}):
            raise ValueError(f"secrets: {twice[0]} is given twice; give each variable once")
        return self


def read_settings(path: Path) -> KubeflowSettings:
    """The settings in a file.

    Raises:
        ExpungeError: it cannot be read, is no plain YAML, or has a key or a value that is not allowed.
    """
    try:
        return KubeflowSettings.model_validate(read_plain_yaml(path.read_bytes(), 5))
    except OSError as error:
        raise ExpungeError(f"settings: {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ExpungeError(f"settings: {describe(error.errors()[0], KubeflowSettings.model_fields)}") from error
    except ExpungeError as error:
        raise ExpungeError(f"settings: {error}") from error


def check_image(image: str) -> str:
    """The image, if it is the same one tomorrow.

    Raises:
        ExpungeError: it has neither tag nor digest, the tag is ``latest``, or it is no name of an image.
    """
    if not IMAGE.fullmatch(image):
        raise ExpungeError(
            f"image: {image[:200]!r} given; name it with a tag other than 'latest' or, better, by its digest: "
            "REGISTRY/NAME:1.0 or REGISTRY/NAME@sha256:…"
        )
    return image

"""What all of Expunge's pods have in common: environment, volumes and rights, as parts of a manifest."""

from typing import Any

from infra.image import FOLDER, USER, WRITABLE
from infra.kubernetes.stack_settings import Place, StackSettings

STATE = WRITABLE["state"]
SCRATCH = "/scratch"  # the only other folder that can be written to
KEYS = "/run/expunge-keys"
GIVEN_KEYS = "/run/expunge-keys-given"
CONTAINER_RIGHTS: dict[str, Any] = {
    "privileged": False,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_RIGHTS: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def environment(settings: StackSettings) -> list[dict[str, Any]]:
    """Variables of every pod: what is secret by reference, what is written in folders that can be written to."""
    own = {
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "ZENML_CONFIG_PATH": f"{SCRATCH}/zenml",
        "ZENML_STORE_URL": settings.zenml.url,
        "ZENML_CUSTOM_SOURCE_ROOT": FOLDER,  # no repository of ZenML's lies there: it would want to write into it
        "ZENML_ANALYTICS_OPT_IN": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "COLUMNS": "400",  # ZenML breaks what it says at 80 else, and the last line of a run that fails is handed on
    }
    if settings.signing_keys:
        own["EXPUNGE_SIGNING_KEY"] = f"{KEYS}/certificate.pem"
        own["EXPUNGE_MODEL_SIGNING_KEY"] = f"{KEYS}/model.pem"
    plain = [{"name": name, "value": value} for name, value in (own | settings.variables).items()]
    return plain + [by_reference(name, each.secret, each.key) for name, each in settings.secrets.items()]


def by_reference(name: str, secret: str, key: str) -> dict[str, Any]:
    """A variable whose value is an entry of a secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def volumes(settings: StackSettings) -> list[dict[str, Any]]:
    """What every pod mounts: empty folders to write to, and the signing keys."""
    found: list[dict[str, Any]] = [{"name": "state", "emptyDir": {}}, {"name": "scratch", "emptyDir": {}}]
    if settings.signing_keys:
        given = {"secretName": settings.signing_keys, "defaultMode": 0o440}
        found += [
            {"name": "keys-given", "secret": given},
            {"name": "keys", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ]
    return found


def mounts(settings: StackSettings) -> list[dict[str, Any]]:
    """Where ``volumes`` are in the main container."""
    found: list[dict[str, Any]] = [
        {"name": "state", "mountPath": STATE},
        {"name": "scratch", "mountPath": SCRATCH},
    ]
    return found + ([{"name": "keys", "mountPath": KEYS}] if settings.signing_keys else [])


def first_containers(settings: StackSettings) -> list[dict[str, Any]]:
    """What runs before the main container: a secret's files are the group's too, and no key that others read signs."""
    if not settings.signing_keys:
        return []
    files = [f"{GIVEN_KEYS}/{name}.pem" for name in ("certificate", "model")]
    return [
        {
            "name": "keys",
            "image": settings.image,
            "command": ["install", "-m", "600", "-t", KEYS, *files],
            "securityContext": CONTAINER_RIGHTS,
            "volumeMounts": [
                {"name": "keys", "mountPath": KEYS},
                {"name": "keys-given", "mountPath": GIVEN_KEYS, "readOnly": True},
            ],
        }
    ]


def placed_at(place: Place) -> dict[str, Any]:
    """Node selector and tolerations of a pod."""
    found: dict[str, Any] = {"nodeSelector": place.node_selector, "tolerations": place.tolerations}
    return {key: value for key, value in found.items() if value}

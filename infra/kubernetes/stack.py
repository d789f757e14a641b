"""Register a ZenML stack that runs on Kubernetes, and use it from now on; or print what the cluster needs for it.

    python -m infra.kubernetes.stack --settings configs/stacks/kubernetes.yaml
    python -m infra.kubernetes.stack --settings configs/stacks/kubernetes.yaml --manifests | kubectl apply -f -

Run again after a change of the settings it brings the stack up to date. Nothing secret is stored with it.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from expunge.errors import ExpungeError, explained
from infra.kubernetes.access import access_objects
from infra.kubernetes.pods import POD_RIGHTS, environment, first_containers, mounts, volumes
from infra.kubernetes.stack_settings import Place, StackSettings, read_stack_settings

SETTINGS = Path("configs/stacks/kubernetes.yaml")


def pod_settings(settings: StackSettings, place: Place) -> dict[str, Any]:
    """What ZenML is told of a pod, as its ``KubernetesPodSettings`` takes it."""
    return {
        "resources": place.resources.model_dump(),
        "node_selectors": place.node_selector,
        "tolerations": place.tolerations,
        "env": environment(settings),
        "volumes": volumes(settings),
        "volume_mounts": mounts(settings),
        "image_pull_secrets": [settings.pull_secret] if settings.pull_secret else [],
        "additional_pod_spec_args": {"security_context": POD_RIGHTS, "init_containers": first_containers(settings)},
    }


def component_settings(settings: StackSettings) -> dict[str, Any]:
    """What the orchestrator is told."""
    return {
        "image": settings.image,
        # In a pod the service account counts; the context is for those outside.
        "incluster": True,
        "kubernetes_context": settings.context,
        "kubernetes_namespace": settings.namespace,
        "skip_local_validations": True,  # they ask for a registry that images are pushed to; none is
        "pass_zenml_token_as_secret": True,
        "service_account_name": settings.runner_account,
        "step_pod_service_account_name": settings.step_account,
        "orchestrator_pod_settings": pod_settings(settings, settings.orchestrator),
        "active_deadline_seconds": 60 * settings.orchestrator_deadline_minutes,
        "ttl_seconds_after_finished": 60 * settings.keep_minutes,
        "start_minutes": settings.start_minutes,
        "max_api_retries": 0,  # beyond those of ``infra.kubernetes.patience``
        "jobs": {
            step: {
                "pod_settings": pod_settings(settings, place),
                "deadline_seconds": 60 * place.deadline_minutes,
                "retries": place.retries,
            }
            for step, place in settings.jobs.items()
        },
    }


def register_stack(settings: StackSettings) -> None:
    """Make the stack, or bring it up to date, and set it active.

    Raises:
        ExpungeError: ZenML is a local one, which pods cannot reach.
    """
    from zenml.client import Client
    from zenml.enums import StackComponentType, StoreType

    client = Client()
    if client.zen_store.type != StoreType.REST:
        raise ExpungeError("zenml: this is a local ZenML, which no pod reaches; log in to a server: zenml login URL")
    _register_flavor(client)
    repository, _, _ = settings.image.rpartition("/")
    wanted = {
        StackComponentType.ORCHESTRATOR: ("expunge-kubernetes", component_settings(settings)),
        StackComponentType.ARTIFACT_STORE: ("s3", _artifact_settings(settings)),
        # ZenML insists on both, and uses neither: the image is there.
        StackComponentType.CONTAINER_REGISTRY: ("default", {"uri": repository or "docker.io"}),
        StackComponentType.IMAGE_BUILDER: ("local", {}),
    }
    components = {kind: _component(client, settings.name, kind, *each) for kind, each in wanted.items()}
    stacks = client.list_stacks(name=settings.name)
    stack = stacks[0] if stacks.total else client.create_stack(name=settings.name, components=components)
    client.activate_stack(stack.id)


def find_registered(settings: StackSettings) -> str:
    """The stack's id. Raises ExpungeError if there is none, or it was registered from other settings."""
    from zenml.client import Client
    from zenml.enums import StackComponentType

    client, again = Client(), "register it: python -m infra.kubernetes.stack --settings FILE"
    stacks = client.list_stacks(name=settings.name)
    if not stacks.total:
        raise ExpungeError(f"zenml: has no stack '{settings.name}'; {again}")
    (orchestrator,) = stacks[0].components[StackComponentType.ORCHESTRATOR]
    has, wanted = orchestrator.configuration, component_settings(settings)
    if changed := sorted(key for key in wanted if has.get(key) != wanted[key]):
        raise ExpungeError(f"zenml: stack '{settings.name}' has another {changed[0]} than the settings; {again}")
    return str(stacks[0].id)


def _artifact_settings(settings: StackSettings) -> dict[str, Any]:
    endpoint = settings.variables.get("AWS_ENDPOINT_URL")
    return {"path": settings.artifacts} | ({"client_kwargs": {"endpoint_url": endpoint}} if endpoint else {})


def _register_flavor(client: Any) -> None:
    from zenml.enums import StackComponentType
    from zenml.utils import source_utils

    known = client.list_flavors(name="expunge-kubernetes", type=StackComponentType.ORCHESTRATOR)
    if not known.total:
        # ZenML calls a class by its place below its source root, else that of this very file, wherever this is run.
        source_utils.set_custom_source_root(str(Path(__file__).parents[2]))
        client.create_flavor("infra.kubernetes.flavor.ExpungeKubernetesFlavor", StackComponentType.ORCHESTRATOR)


def _component(client: Any, name: str, kind: Any, flavor: str, configuration: dict[str, Any]) -> Any:
    found = client.list_stack_components(name=name, type=kind)
    if not found.total:
        return client.create_stack_component(
            name=name, flavor=flavor, component_type=kind, configuration=configuration
        ).id
    if found[0].flavor_name != flavor:
        raise ExpungeError(f"name: ZenML has a {kind.value} '{name}' of another flavor; choose another name.")
    if kind.value == "artifact_store" and found[0].configuration.get("path") != configuration["path"]:
        was = found[0].configuration.get("path")
        raise ExpungeError(f"artifacts: stack '{name}' keeps them in {was}; put that back, or choose another name.")
    stale = {key: None for key in set(found[0].configuration) - set(configuration)}
    return client.update_stack_component(found[0].id, kind, configuration=configuration | stale).id


def main() -> None:
    """Register and say so, or print manifests."""
    parser = argparse.ArgumentParser(description="A ZenML stack that runs on Kubernetes.")
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    parser.add_argument("--manifests", action="store_true", help="print namespace, service accounts and roles instead")
    parser.add_argument("--find", action="store_true", help="print the registered stack's id, as JSON, instead")
    options = parser.parse_args()
    try:
        settings = read_stack_settings(options.settings)
        if options.find:
            print(json.dumps({"id": find_registered(settings)}))
            return
        if options.manifests:
            print(yaml.safe_dump_all(access_objects(settings), sort_keys=False), end="")
            return
        register_stack(settings)
    except Exception as error:
        if line := explained(error):
            sys.exit(f"Error: {line}")
        raise
    print(
        f"Active stack: {settings.name}, pods in {settings.namespace}. What is missing there: expunge stack check "
        f"--kubernetes {options.settings}"
    )


if __name__ == "__main__":
    main()

"""Register a ZenML stack whose artifacts lie in a bucket, and use it from now on.

    python -m infra.s3_stack --name s3 --path s3://zenml

Credentials and endpoint stay in the environment (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``,
``AWS_ENDPOINT_URL``): nothing secret is stored with the stack.
"""

import argparse
import os
from uuid import UUID

from zenml.client import Client
from zenml.enums import StackComponentType

from expunge.errors import ExpungeError


def register_s3_stack(name: str, path: str) -> UUID:
    """Make the stack, or find it, and set it active: local orchestrator, artifacts under ``path``.

    Args:
        name: of stack and artifact store.
        path: ``s3://BUCKET`` or ``s3://BUCKET/PREFIX``.

    Raises:
        ExpungeError: ``path`` is no S3 URL, or a stack of that name keeps its artifacts elsewhere.
    """
    if not path.startswith("s3://") or not path.removeprefix("s3://").strip("/"):
        raise ExpungeError(f"path: '{path}' given; must be s3://BUCKET or s3://BUCKET/PREFIX.")
    client = Client()
    stacks = client.list_stacks(name=name)
    if stacks.total:
        stack = stacks[0]
        (store,) = stack.components[StackComponentType.ARTIFACT_STORE]
        if store.configuration.get("path") != path:
            raise ExpungeError(
                f"name: stack '{name}' keeps its artifacts in {store.configuration.get('path')}, not in {path}; "
                "choose another name."
            )
    else:
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        configuration: dict[str, object] = {"path": path}
        if endpoint:
            configuration["client_kwargs"] = {"endpoint_url": endpoint}
        store = client.create_stack_component(
            name=name, flavor="s3", component_type=StackComponentType.ARTIFACT_STORE, configuration=configuration
        )
        stack = client.create_stack(
            name=name,
            components={
                StackComponentType.ORCHESTRATOR: "default",
                StackComponentType.ARTIFACT_STORE: store.id,
            },
        )
    client.activate_stack(stack.id)
    return stack.id


def main() -> None:
    """Register and say so."""
    parser = argparse.ArgumentParser(description="A ZenML stack whose artifacts lie in a bucket.")
    parser.add_argument("--name", default="s3")
    parser.add_argument("--path", default="s3://zenml")
    options = parser.parse_args()
    register_s3_stack(options.name, options.path)
    print(f"Active stack: {options.name}, artifacts in {options.path}. Back to folders: zenml stack set default")


if __name__ == "__main__":
    main()

"""What an administrator puts into the cluster: a namespace, two service accounts, and what the first of them may do."""

from typing import Any

from infra.kubernetes.stack_settings import StackSettings

Object = dict[str, Any]
# What the runner's pods do: ZenML's client starts jobs, reads their pods, and keeps its token; a schedule has a lease.
RULES: list[tuple[list[str], list[str], list[str]]] = [
    (["batch"], ["jobs"], ["create", "get", "list", "patch", "delete"]),
    ([""], ["pods", "pods/log"], ["get", "list"]),
    ([""], ["secrets"], ["create", "update", "patch", "delete"]),  # and read none
    (["coordination.k8s.io"], ["leases"], ["create", "get", "update"]),
]


def access_objects(settings: StackSettings) -> list[Object]:
    """In the order in which they are to be made. Steps' own accounts may do nothing."""
    namespace, runner = settings.namespace, settings.runner_account

    def named(name: str) -> Object:
        return {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": "expunge"}}

    rights = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named(runner)},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": named(settings.step_account),
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": f"{rights}/v1",
            "kind": "Role",
            "metadata": named(runner),
            "rules": [
                {"apiGroups": groups, "resources": resources, "verbs": verbs} for groups, resources, verbs in RULES
            ],
        },
        {
            "apiVersion": f"{rights}/v1",
            "kind": "RoleBinding",
            "metadata": named(runner),
            "subjects": [{"kind": "ServiceAccount", "name": runner, "namespace": namespace}],
            "roleRef": {"apiGroup": rights, "kind": "Role", "name": runner},
        },
    ]

"""Whether the artifact store of the active ZenML stack takes files, as one line of JSON for ``expunge stack check``.

python -m infra.artifact_store
"""

import json
from secrets import token_hex

from zenml.client import Client

from expunge.errors import explained


def probe() -> dict[str, str]:
    """Write, read and remove a small file; ``problem`` says what went wrong, or is empty."""
    stack = Client().active_stack
    store, written = stack.artifact_store, token_hex(8)
    facts = {"stack": stack.name, "path": store.path, "problem": ""}
    file = f"{store.path.rstrip('/')}/.stack-check-{written}"
    try:
        with store.open(file, "w") as stream:
            stream.write(written)
        with store.open(file, "r") as stream:
            if stream.read() != written:
                facts["problem"] = "it gives back something else than was written"
        store.remove(file)
    except Exception as error:  # of whatever library the store uses
        facts["problem"] = explained(error) or f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return facts


if __name__ == "__main__":
    print(json.dumps(probe()))

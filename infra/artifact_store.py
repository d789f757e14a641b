"""Whether the artifact store of the active ZenML stack takes files, as one line of JSON for ``expunge stack check``.

python -m infra.artifact_store
"""

import json
from secrets import token_hex

from zenml.client import Client
from zenml.utils import io_utils

from expunge.errors import explained


def probe() -> dict[str, str]:
    """Write, read and remove a small file; ``problem`` says what went wrong, or is empty."""
    stack = Client().active_stack
    store, written = stack.artifact_store, token_hex(8)
    facts = {"stack": stack.name, "path": store.path, "problem": ""}
    file = f"{store.path.rstrip('/')}/.stack-check-{written}"
    try:
        io_utils.write_file_contents_as_string(file, written)
        if io_utils.read_file_contents_as_string(file) != written:
            facts["problem"] = "it gives back something else than was written"
        store.remove(file)
    except Exception as error:  # of whatever library the store uses
        facts["problem"] = explained(error) or f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return facts


if __name__ == "__main__":
    print(json.dumps(probe()))

"""Count the requests that ``expunge retrain`` would work on now, for a condition of Kubeflow's.

python -m infra.kubeflow.pending --config configs/demo.yaml --out FILE
"""

import argparse
import sys
from pathlib import Path

from expunge.cli.run_config import inbox_and_model, read_parameters
from expunge.errors import explained
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.standing import next_runs


def count(config: Path) -> int:
    """Requests that are pending, held by a run that died, or to be tried alone since they failed in company.

    Args:
        config: of unlearn_pipeline; inbox and model are taken from it.

    Raises:
        ExpungeError: the configuration cannot be read, or the inbox does not answer.
    """
    inbox, model = inbox_and_model(read_parameters(config))
    return sum(map(len, next_runs(Inbox(open_store(inbox), model))))


def main() -> None:
    """Count, say so, and write the number to a file."""
    parser = argparse.ArgumentParser(description="Count the requests that expunge retrain would work on.")
    parser.add_argument("--config", type=Path, required=True, help="of unlearn_pipeline")
    parser.add_argument("--out", type=Path, required=True, help="file for the number; its folder is made")
    options = parser.parse_args()
    try:
        found = count(options.config)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(str(found), encoding="utf-8")
    except Exception as error:
        if not (line := explained(error)):
            raise
        sys.exit(f"Error: {line}")
    print(f"{found} pending")


if __name__ == "__main__":
    main()

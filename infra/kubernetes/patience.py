"""How long a run waits for a cluster's API that fails or does not answer: minutes, since it holds hours of work.

ZenML asks four times within three seconds, without a limit on how long an answer may take.
"""

import re
from collections.abc import Callable
from typing import Any

from kubernetes import client
from urllib3 import Retry

from expunge.errors import ExpungeError
from infra.kubernetes.api import SECONDS, answering

# Waits of 0, 1, 2 … 16 s, then of 20 s: two and a half minutes, and six where each answer fails to come as well.
ATTEMPTS, FACTOR, LONGEST = 12, 0.5, 20.0
FAILING = (429, 500, 502, 503, 504)


class PatientClient(client.ApiClient):
    """A client of the cluster's API that asks again, whatever it asks."""

    def __init__(self, given: client.ApiClient) -> None:
        given.configuration.retries = Retry(
            total=ATTEMPTS,
            backoff_factor=FACTOR,
            backoff_max=LONGEST,
            status_forcelist=FAILING,
            allowed_methods=None,
            raise_on_status=False,  # the last answer says what is wrong
        )
        super().__init__(given.configuration)

    def request(self, method: str, url: str, **given: Any) -> Any:
        """As the library's, with an end to the waiting for one answer."""
        return super().request(method, url, **given | {"_request_timeout": given.get("_request_timeout") or SECONDS})


class PatientJobs(client.BatchV1Api):
    """Jobs by a patient client: one that was made though the answer was lost is not asked for in vain again."""

    def create_namespaced_job(self, namespace: str, body: Any, **given: Any) -> Any:
        """Make a job; one of that name is the same, for ZenML's names are random."""
        try:
            return super().create_namespaced_job(namespace, body, **given)
        except client.ApiException as error:
            if error.status != 409:
                raise
            return self.read_namespaced_job(body.metadata.name, namespace)


def waited_for(wait: Callable[[], None], words: Callable[[], str]) -> None:
    """Wait for a run's job.

    Args:
        wait: raises RuntimeError if the job fails.
        words: the last ones of its last pod.

    Raises:
        ExpungeError: it failed; or the cluster cannot be asked any more, and the run goes on.
    """
    try:
        with answering("run"):
            wait()
    except ExpungeError as error:
        raise ExpungeError(f"{error} The run itself goes on.") from error
    except RuntimeError as error:
        with answering("run"):
            said = words()
        raise ExpungeError(f"run: {error}; its last words: {said or 'none'}") from error


def last_words(log: str) -> str:
    """The last line of a pipeline's log, cut short; where it names a step whose job failed, why that did."""
    lines = [line.strip() for line in log.splitlines() if line.strip()] or [""]
    step = re.search(r"Step `[^`]+`", lines[-1])
    causes = [line for line in lines if step and line.startswith(f"{step[0]}: its job failed: ")]
    return (causes or lines)[-1][:300]

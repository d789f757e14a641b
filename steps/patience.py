"""How long a run waits for a store that does not answer: minutes, since it holds hours of work.

A command that a person waits for asks a few times and says what is wrong. What the environment says counts for both.
"""

import os

# Waits of up to 20 s between attempts, with a random share off: two minutes and a half on average.
os.environ.setdefault("AWS_RETRY_MODE", "standard")
os.environ.setdefault("AWS_MAX_ATTEMPTS", "18")
# Waits of 0, 4, 8 … 64 s.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")

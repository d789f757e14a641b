"""``python -m pipelines.purge``: what ``expunge purge`` starts, for ZenML's artifacts are purged by ZenML."""

import json
import os
import sys

from expunge.release.retention import RetentionSettings
from pipelines.console import speak_clearly


def main() -> None:
    """Purge by the facts on stdin; print what was removed as the last line."""
    speak_clearly()
    os.environ.setdefault("ZENML_ANALYTICS_OPT_IN", "false")
    os.environ.setdefault("ZENML_LOGGING_VERBOSITY", "WARN")
    asked = json.load(sys.stdin)
    retention = RetentionSettings.model_validate(asked.pop("retention"))
    import materializers  # noqa: F401
    from steps.artifact_purge import purge_everything

    print(purge_everything(**asked, retention=retention).model_dump_json())


if __name__ == "__main__":
    main()

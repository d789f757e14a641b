"""ZenML pipelines. Each module is named after its pipeline."""

"""Expunge on Kubernetes: a ZenML stack, the cluster's own objects, schedules, and what a cluster lacks."""

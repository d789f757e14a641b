"""A pipeline of Kubeflow's that runs ``expunge retrain`` where requests are pending. See ``infra/README.md``."""

"""Servers and stacks that a run can stand on instead of local folders. See ``infra/README.md``."""

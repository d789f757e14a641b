"""Release: registry, promotion, roll-back, lineage, certificates. The only room with MLflow."""

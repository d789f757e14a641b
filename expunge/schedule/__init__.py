"""When ``expunge retrain`` is started by itself: a line in the user's crontab, or a timer of the user's systemd."""

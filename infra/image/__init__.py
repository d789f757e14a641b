"""The image: what ``Dockerfile`` beside this file makes, as what starts its containers needs to know it."""

USER = 10001  # number of the user and of its group; has no right to write but below WRITABLE
FOLDER = "/app"  # the project, which is the working folder
# What must be a volume where the root file system is read-only: scratch, the user's home, and Expunge's local state.
WRITABLE = {"scratch": "/tmp", "home": "/home/expunge", "state": f"{FOLDER}/.expunge"}

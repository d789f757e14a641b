"""Errors that a user can act on."""


class ExpungeError(ValueError):
    """Something the user can mend: the message names what was given, what is allowed and what to do.

    The command line prints the message alone, without a traceback.
    """

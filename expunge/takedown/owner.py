"""Who holds a claim: a process, named ``host:pid:run``, or a run that outlives its processes."""

import getpass
import os
import socket
from datetime import datetime, timedelta

import psutil

# Process start times come from the boot clock and may be off from wall-clock time by a little.
_CLOCK_SLACK = timedelta(seconds=60)


def this_owner(run: str) -> str:
    """The name under which this process claims requests for ``run``."""
    return f"{socket.gethostname()}:{os.getpid()}:{run}"


def lasting_owner(run: str) -> str:
    """The name under which a run claims that another process can go on with; the lease alone says if it is dead."""
    return f"run:-:{run}"


def this_person() -> str:
    """Who sits at this process, ``user@host``, for the record."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an unknown user in a container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def owner_is_gone(owner: str, since: datetime) -> bool:
    """Whether the process that took a claim at ``since`` surely no longer runs.

    Only processes of this host can be judged; of any other, and of a name of another form, the answer is no
    and the lease decides. A process that started after the claim was taken merely inherited the number.
    """
    host, _, rest = owner.partition(":")
    number = rest.partition(":")[0]
    if host != socket.gethostname() or not number.isdecimal():
        return False
    try:
        process = psutil.Process(int(number))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return process.create_time() > (since + _CLOCK_SLACK).timestamp()
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False

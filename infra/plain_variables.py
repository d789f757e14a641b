"""What may not stand in a manifest in clear: variables of a pod that look like secrets, by their names or values."""

import re
from collections.abc import Mapping

_SECRET_LIKE = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|API_KEY|ACCESS_KEY|_KEY\b|_KEY_", re.IGNORECASE)
_LOGIN = re.compile(r"://[^/\s]*@")


def named_like_secrets(variables: Mapping[str, str]) -> list[str]:
    """Names of those, values by name, that are called as a secret is; sorted."""
    return sorted(filter(_SECRET_LIKE.search, variables))


def with_login(variables: Mapping[str, str]) -> list[str]:
    """Names of those, values by name, whose value is an address with a login in it; sorted."""
    return sorted(name for name, value in variables.items() if _LOGIN.search(value))

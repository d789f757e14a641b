"""What a cached step depends on besides its inputs and its own source: the library's code."""

from zenml.config import CachePolicy

from expunge.code_digest import code_digest

BY_CODE = CachePolicy(cache_func=code_digest)

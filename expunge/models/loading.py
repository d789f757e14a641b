"""One model is loaded at a time.

While they load, transformers and diffusers have every new module of the process made without memory (on the ``meta``
device). Mapped ZenML steps are threads of one process: what another thread makes in that moment would stay empty.
"""

import threading

LOADING = threading.RLock()

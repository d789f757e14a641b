"""Loops over gradients in the processor's memory, compiled at their first call.

torch makes a pass over both gradients for each product; here every number is read once, and converted to float64 in a
register. Results of the same numbers on the same processor are the same, whatever the threads: each call is one loop.
"""

import numpy as np
from numba import njit

# Sums may be taken in lanes, and a product and a sum in one instruction. NaN and infinity keep their meaning. Not kept
# on disk between processes: numba's cache is a pickle, and compiling takes a second or two.
compile_loop = njit(nogil=True, fastmath={"reassoc", "contract"})


@compile_loop
def products(forget: np.ndarray, retain: np.ndarray) -> tuple[float, float, float]:
    """<g_f,g_f>, <g_f,g_r> and <g_r,g_r> of vectors of one length, float32 or float64."""
    ff = fr = rr = 0.0
    for i in range(forget.size):
        f, r = np.float64(forget[i]), np.float64(retain[i])
        ff += f * f
        fr += f * r
        rr += r * r
    return ff, fr, rr


@compile_loop
def weighted_products(forget: np.ndarray, retain: np.ndarray, metric: np.ndarray) -> tuple[float, float, float]:
    """As `products`, with the diagonal of P⁻¹."""
    ff = fr = rr = 0.0
    for i in range(forget.size):
        f, r, w = np.float64(forget[i]), np.float64(retain[i]), np.float64(metric[i])
        ff += f * w * f
        fr += f * w * r
        rr += r * w * r
    return ff, fr, rr

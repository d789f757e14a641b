"""The update from three dot products: the guarantee, a dense float64 reference, and every degenerate case."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from expunge.unlearning import products as products_module
from expunge.unlearning.gradients import (
    Coefficients,
    NonFiniteGradientError,
    coefficients,
    combine,
    cosine_of,
    first_order_changes,
)
from expunge.unlearning.products import dot_products, gram, groups

SHAPES = st.lists(st.lists(st.integers(1, 7), min_size=0, max_size=4).map(tuple), min_size=1, max_size=6)
EXPONENTS = st.floats(-20, 20)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Tensor], list[Tensor], list[Tensor] | None, float]:
    """Two float32 gradients at any angle and scale, a metric or none, and λ."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    shapes = draw(SHAPES)
    lean = draw(st.one_of(st.floats(-3, 3), st.sampled_from([-1e3, 0.0, 1e3])))
    forget_scale, retain_scale = 10 ** draw(EXPONENTS), 10 ** draw(EXPONENTS)
    forget, retain = [], []
    for shape in shapes:
        f, r = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        forget.append((f * forget_scale).float())
        retain.append(((lean * f + r) / math.hypot(lean, 1) * retain_scale).float())
    metric = None
    if draw(st.booleans()):
        spread = draw(st.floats(0, 6))
        metric = [10 ** (spread * torch.randn(s, generator=generator).clamp(-1, 1)) for s in shapes]
    return forget, retain, metric, draw(st.floats(0.01, 100))


def dense(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.reshape(-1).double() for t in tensors])


def combined(forget: list[Tensor], retain: list[Tensor], chosen: Coefficients) -> Tensor:
    return dense([combine(f, r, chosen) for f, r in zip(forget, retain, strict=True)])


def dense_products(forget: list[Tensor], retain: list[Tensor], metric: list[Tensor] | None) -> list[float]:
    f, r = dense(forget), dense(retain)
    w = torch.ones_like(f) if metric is None else dense(metric)
    return [(f * w * f).sum().item(), (f * w * r).sum().item(), (r * w * r).sum().item()]


@given(problems())
@settings(max_examples=150, deadline=None)
def test_products_equal_the_dense_float64_reference(case) -> None:
    forget, retain, metric, _ = case
    ff, fr, rr = dot_products(forget, retain, metric)
    want_ff, want_fr, want_rr = dense_products(forget, retain, metric)
    assert ff == pytest.approx(want_ff, rel=1e-6)
    assert rr == pytest.approx(want_rr, rel=1e-6)
    assert abs(fr - want_fr) <= 1e-6 * math.sqrt(want_ff) * math.sqrt(want_rr)


@given(problems())
@settings(max_examples=200, deadline=None)
def test_neither_loss_rises_to_first_order(case) -> None:
    forget, retain, metric, weight = case
    ff, fr, rr = dot_products(forget, retain, metric)
    chosen = coefficients(ff, fr, rr, weight)
    change_forget, change_retain = first_order_changes(ff, fr, rr, chosen)
    assert change_forget <= 0 and change_retain <= 0

    # And so it is for the direction as it comes out in float32, up to the rounding of its own two terms.
    d = combined(forget, retain, chosen)
    f, r = dense(forget), dense(retain)
    w = torch.ones_like(f) if metric is None else dense(metric)
    noise = 2e-7 * (abs(chosen.forget) * math.sqrt(ff) + abs(chosen.retain) * math.sqrt(rr))
    assert (f * w * d).sum().item() >= -noise * math.sqrt(ff)
    assert (r * w * d).sum().item() >= -noise * math.sqrt(rr)


@given(problems())
@settings(max_examples=150, deadline=None)
def test_direction_equals_the_projections_of_the_paper(case) -> None:
    forget, retain, metric, weight = case
    ff, fr, rr = dense_products(forget, retain, metric)
    f, r = dense(forget), dense(retain)
    delta_f, delta_r = (f - fr / rr * r, r - fr / ff * f) if fr < 0 else (f, r)
    chosen = coefficients(*dot_products(forget, retain, metric), weight)
    assume(chosen.forget != 0)  # opposed up to rounding: stands still
    d = combined(forget, retain, chosen)
    # Relative to the terms that are summed: where they cancel, float32 cannot do better.
    terms = (1 + weight * math.sqrt(rr / ff)) * f.abs() + (weight + math.sqrt(ff / rr)) * r.abs()
    assert ((d - (delta_f + weight * delta_r)).abs() <= 1e-6 * terms).all()


@given(problems(), st.sampled_from([0.0, 1e-1, 1e-3, 1e-5]))
@settings(max_examples=200, deadline=None)
def test_neither_loss_rises_however_nearly_opposed(case, sine: float) -> None:
    forget, retain, metric, weight = case
    if sine:  # nearly opposed
        ratio = math.sqrt(dense(retain).square().mean() / dense(forget).square().mean())
        retain = [(sine * r.double() - ratio * f.double()).float() for f, r in zip(forget, retain, strict=True)]
    chosen = coefficients(*dot_products(forget, retain, metric), weight)
    c_f, c_r = chosen.forget, chosen.retain
    ff, fr, rr = dense_products(forget, retain, metric)
    for terms in ((c_f * ff, c_r * fr), (c_f * fr, c_r * rr)):
        assert sum(terms) >= -1e-13 * sum(map(abs, terms))


def test_the_restriction_of_what_is_not_there_or_opposed() -> None:
    f = torch.randn(300, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros_like(f)
    for forget, retain, want in (
        (f, -f, (0.0, 0.0, True)),
        (None, None, (1.0, 5.0, False)),
        (f, zero, (1.0, 5.0, False)),
    ):
        assert coefficients(*dot_products([forget], [retain]), 5.0) == Coefficients(*want)


@pytest.mark.parametrize("block", [1, 100, 1 << 18])
@pytest.mark.parametrize("with_metric", [False, True])
def test_nothing_is_lost_between_blocks(with_metric: bool, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products_module, "CPU_BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    forget, retain = ([torch.randn(n, generator=generator) for n in (1, 99, 250, 0, 1, 700)] for _ in range(2))
    metric = [torch.rand(t.shape, generator=generator) for t in forget] if with_metric else None
    want = dense_products(forget, retain, metric)
    assert dot_products(forget, retain, metric) == pytest.approx(want, rel=1e-12)
    assert dot_products([None, *forget[1:]], retain, metric)[2] == pytest.approx(want[2], rel=1e-12)
    assert dot_products([None] * 6, [None] * 6) == (0.0, 0.0, 0.0)


def test_parameters_without_elements_count_as_zero() -> None:
    empty, f = torch.zeros(0, 3), torch.tensor([1.0, 2.0])
    assert dot_products([empty], [empty]) == (0.0, 0.0, 0.0)
    assert dot_products([empty, f, empty], [empty, -f, empty]) == (5.0, -5.0, 5.0)


def test_neighbours_of_one_kind_lie_together_and_a_long_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products_module, "CPU_BLOCK", 10)
    sizes = [4, 6, 1, 25, 3, 7, 0]
    tensors = [torch.zeros(n) for n in sizes] + [torch.zeros(2, dtype=torch.float64), torch.zeros(2)]
    assert groups(tensors) == [[0, 1], [2], [3], [4, 5, 6], [7], [8]]
    assert groups([]) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_every_precision_is_multiplied_in_float64(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products_module, "CPU_BLOCK", 64)
    generator = torch.Generator().manual_seed(0)
    f, r, w = (torch.rand(1000, generator=generator).to(dtype) for _ in range(3))
    for metric in (None, [w]):
        assert dot_products([f], [r], metric) == pytest.approx(dense_products([f], [r], metric), rel=1e-12)
    # In the metric of a step vectors are scaled in their own precision, which float32 and float64 are enough for.
    if dtype in (torch.float32, torch.float64):
        (ff, fr), (rf, rr) = gram((f, r), w.sqrt()).tolist()
        assert (ff, fr, rr) == pytest.approx(dense_products([f], [r], [w]), rel=1e-6) and fr == rf


@given(problems(), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_products_do_not_depend_on_how_parameters_are_split(case, size: int) -> None:
    forget, retain, metric, _ = case

    def split(tensors: list[Tensor]) -> list[Tensor]:
        return [part for t in tensors for part in t.reshape(-1).split(size)]

    whole = dot_products(forget, retain, metric)
    parts = dot_products(split(forget), split(retain), None if metric is None else split(metric))
    scale = math.sqrt(whole[0]) * math.sqrt(whole[2])
    assert parts == pytest.approx(whole, rel=1e-10, abs=1e-10 * scale)


def test_constant_gradients_are_as_accurate_as_random_ones() -> None:
    # Rounding goes the same way in every addition here: plain float32 sums are off by 1e-5.
    f, r = torch.full((300_000,), 0.1), torch.full((300_000,), -0.3)
    want = dense_products([f], [r], None)
    assert dot_products([f], [r]) == pytest.approx(want, rel=1e-11)


def test_zero_gradient_leaves_the_other_alone() -> None:
    assert coefficients(0.0, 0.0, 4.0, 5.0) == Coefficients(1.0, 5.0, conflict=False)
    assert first_order_changes(0.0, 0.0, 4.0, Coefficients(1.0, 5.0, False)) == (0.0, -20.0)
    assert first_order_changes(4.0, 0.0, 0.0, coefficients(4.0, 0.0, 0.0, 5.0)) == (-4.0, 0.0)
    assert first_order_changes(0.0, 0.0, 0.0, coefficients(0.0, 0.0, 0.0, 5.0)) == (0.0, 0.0)
    assert cosine_of(0.0, 0.0, 4.0) == 0.0


def test_parallel_gradients_are_summed() -> None:
    assert coefficients(1.0, 2.0, 4.0, 3.0) == Coefficients(1.0, 3.0, conflict=False)


@given(st.integers(0, 2**32), EXPONENTS)
@settings(max_examples=30, deadline=None)
def test_opposed_gradients_stand_still(seed: int, exponent: float) -> None:
    f = torch.randn(50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    r = -(10**exponent) * f
    products = dot_products([f], [r])
    chosen = coefficients(*products, 5.0)
    assert chosen == Coefficients(0.0, 0.0, conflict=True)
    assert first_order_changes(*products, chosen) == (0.0, 0.0)
    assert combine(f, r, chosen).count_nonzero() == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_gradients_are_refused(bad: float) -> None:
    products = dot_products([torch.tensor([1.0, bad])], [torch.tensor([1.0, 1.0])])
    with pytest.raises(NonFiniteGradientError, match="must be finite"):
        coefficients(*products, 1.0)


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_retain_weight_must_be_positive(weight: float) -> None:
    with pytest.raises(ValueError, match="retain_weight"):
        coefficients(1.0, 0.0, 1.0, weight)


def test_none_and_sparse_gradients_count_as_zero_where_they_are_absent() -> None:
    f, r = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([3.0, 0.0, -1.0])
    for pair, want in (((f, r.to_sparse()), (5, 3, 10)), ((None, r), (0, 0, 10)), ((f, None), (5, 0, 0))):
        assert dot_products([pair[0]], [pair[1]]) == want
    assert dot_products([f, None, f, None], [r.to_sparse(), r, None, None]) == (10.0, 3.0, 20.0)


def test_gradients_are_left_alone_when_they_are_combined() -> None:
    f, r = torch.ones(4), torch.full((4,), 2.0)
    assert combine(f, r, Coefficients(3.0, 0.5, True)).tolist() == [4.0] * 4
    assert f.tolist() == [1.0] * 4 and r.tolist() == [2.0] * 4


def test_memory_layouts_may_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    f, r = torch.randn(2, 2, 3, 4, 5, generator=generator)
    last = f.contiguous(memory_format=torch.channels_last)
    want = dense_products([f], [r], None)
    assert dot_products([last], [r]) == pytest.approx(want, rel=1e-12)
    assert dot_products([last], [r.contiguous(memory_format=torch.channels_last)]) == pytest.approx(want)


def test_coefficients_beyond_float32_are_applied() -> None:
    f, r = torch.full((3,), 1e-20), torch.full((3,), 1e20)
    torch.testing.assert_close(combine(f, r, Coefficients(1e39, 1.0, True)), torch.full((3,), 1.1e20))
    torch.testing.assert_close(combine(r, f, Coefficients(1.0, 1e39, True)), torch.full((3,), 1.1e20))


def test_lists_of_different_lengths_or_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one each"):
        dot_products([torch.ones(1)], [])
    with pytest.raises(ValueError, match="shape"):
        dot_products([torch.ones(2)], [torch.ones(3)])

"""The stepping metric keeps the guarantee in the step that is taken; the published rule does not."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from expunge.unlearning import products
from expunge.unlearning.euclidean import EuclideanAdam
from expunge.unlearning.gradients import NonFiniteGradientError, StepReport, coefficients
from expunge.unlearning.optimiser import RestrictedAdam

SHAPES = ((3, 4), (5,), ())


def random_gradients(generator: torch.Generator, scale: float, lean_on: list[Tensor] | None = None):
    drawn = [torch.randn(s, generator=generator, dtype=torch.float64) for s in SHAPES]
    # Entries of very different sizes, as in a real network: this is where Adam's metric departs from
    # Euclid's.
    drawn = [g * 10 ** torch.randn(g.shape, generator=generator, dtype=torch.float64) for g in drawn]
    if lean_on is not None:
        drawn = [g - 2 * f / (f.norm() + 1e-300) * g.norm() for g, f in zip(drawn, lean_on, strict=True)]
    return [g * scale for g in drawn]


def zeros() -> dict[str, Tensor]:
    return {f"p{i}": torch.zeros(s, dtype=torch.float64) for i, s in enumerate(SHAPES)}


def restricted_by(weight: float):
    return lambda ff, fr, rr: coefficients(ff, fr, rr, weight)


def inner(a: list[Tensor], b: list[Tensor]) -> float:
    return math.fsum((x * y).sum().item() for x, y in zip(a, b, strict=True))


@given(
    seed=st.integers(0, 2**32),
    forget_exponent=st.floats(-20, 20),
    retain_exponent=st.floats(-20, 20),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    weight=st.floats(0.1, 10),
    forget_weight=st.sampled_from([1.0, 0.1, 1e-3]),
)
@settings(max_examples=120, deadline=None)
def test_the_step_taken_raises_neither_loss_to_first_order(
    seed, forget_exponent, retain_exponent, momentum, weight, forget_weight
) -> None:
    generator = torch.Generator().manual_seed(seed)
    parameters = zeros()
    optimiser = RestrictedAdam(parameters, weight, momentum)
    for _ in range(3):
        forget = random_gradients(generator, 10**forget_exponent)
        retain = random_gradients(generator, 10**retain_exponent, lean_on=forget)
        for p in parameters.values():
            p.zero_()  # so that the step can be read off without cancellation
        report = optimiser.step(forget, retain, 1.0, forget_weight)
        assert report.averaged_change_forget <= 0 and report.averaged_change_retain <= 0
        step = list(parameters.values())
        for kind in ("forget", "retain"):
            averaged = optimiser.moments[kind]
            size = math.sqrt(inner(averaged, averaged)) * math.sqrt(inner(step, step))
            assert inner(averaged, step) <= 1e-12 * size


def dense_reference(
    forget: Tensor, retain: Tensor, steps: int, weight: float, momentum: float, forget_weight: float
) -> Tensor:
    """Where the class's formulas lead from zero in plain float64 vectors, the same gradients at each step."""
    p, v, m_f, m_r = (torch.zeros_like(forget) for _ in range(4))
    for t in range(1, steps + 1):
        v = 0.999 * v + 0.001 * (forget**2 + weight**2 * retain**2)
        m_f, m_r = momentum * m_f + (1 - momentum) * forget, momentum * m_r + (1 - momentum) * retain
        f, r = m_f / (1 - momentum**t), m_r / (1 - momentum**t)
        inverse = 1 / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        ff, fr, rr = ((f * inverse * f).sum(), (f * inverse * r).sum(), (r * inverse * r).sum())
        if fr < 0:
            f, r = f - fr / rr * r, r - fr / ff * f
        p = p - inverse * (forget_weight * f + weight * r)
    return p


@given(
    seed=st.integers(0, 2**32),
    forget_exponent=st.floats(-20, 20),
    retain_exponent=st.floats(-20, 20),
    momentum=st.sampled_from([0.0, 0.9]),
    forget_weight=st.sampled_from([1.0, 0.1]),
    cut=st.integers(1, 16),
    block=st.sampled_from([3, 1 << 18]),
)
@settings(max_examples=60, deadline=None)
def test_steps_equal_a_dense_reference_however_parameters_are_split(
    seed, forget_exponent, retain_exponent, momentum, forget_weight, cut, block
) -> None:
    generator = torch.Generator().manual_seed(seed)
    forget, lean = torch.randn(2, 17, generator=generator, dtype=torch.float64)
    retain = (lean - forget) * 10**retain_exponent
    forget = forget * 10**forget_exponent
    want = dense_reference(forget, retain, 3, 2.0, momentum, forget_weight)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "CPU_BLOCK", block)
        for sizes in ([17], [cut, 17 - cut]):
            parameters = {f"p{i}": torch.zeros(n, dtype=torch.float64) for i, n in enumerate(sizes)}
            optimiser = RestrictedAdam(parameters, 2.0, momentum)
            for _ in range(3):
                optimiser.step(forget.split(sizes), retain.split(sizes), 1.0, forget_weight)
            torch.testing.assert_close(
                torch.cat(list(parameters.values())), want, rtol=1e-6, atol=1e-6 * want.abs().max().item()
            )


def test_zero_parallel_and_opposed_gradients() -> None:
    one = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)

    def step(forget: Tensor, retain: Tensor) -> tuple[Tensor, StepReport]:
        parameters = {"p": torch.zeros(3, dtype=torch.float64)}
        report = RestrictedAdam(parameters, 2.0).step([forget], [retain], 1.0)
        return parameters["p"], report

    moved, report = step(torch.zeros_like(one), torch.zeros_like(one))
    assert moved.count_nonzero() == 0 and (report.change_forget, report.change_retain, report.cosine) == (0, 0, 0)
    moved, report = step(one, torch.zeros_like(one))  # Adam's first step along the other
    torch.testing.assert_close(moved, -one.sign())
    assert report.change_retain == 0 and report.change_forget < 0
    moved, report = step(one, 3 * one)
    assert report.cosine == pytest.approx(1) and not report.coefficients.conflict
    torch.testing.assert_close(moved, -one.sign() * 7 / 37**0.5)  # g_f + 2·3 g_f over √(1 + 4·9) |g_f|
    moved, report = step(one, -3 * one)  # nothing lowers both
    assert moved.count_nonzero() == 0 and report.coefficients.conflict
    assert (report.change_forget, report.change_retain) == (0, 0)


def test_memory_layouts_may_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    forget, retain = torch.randn(2, 2, 3, 4, 5, generator=generator, dtype=torch.float64)
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(products, "CPU_BLOCK", 7)
            parameters = {"p": torch.zeros(2, 3, 4, 5, dtype=torch.float64).contiguous(memory_format=layout)}
            optimiser = RestrictedAdam(parameters, 2.0)
            optimiser.step([forget.contiguous(memory_format=torch.channels_last)], [retain], 1.0)
            optimiser.step([forget], [retain.contiguous(memory_format=layout)], 1.0)
        moved.append(parameters["p"].contiguous())
    torch.testing.assert_close(moved[0], moved[1])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_report_is_what_the_step_does(momentum: float) -> None:
    """To the losses of the batch at hand, and of the averages; without momentum these are the same."""
    generator = torch.Generator().manual_seed(3)
    parameters = zeros()
    optimiser = RestrictedAdam(parameters, 2.0, momentum)
    for number in range(3):
        forget = random_gradients(generator, 1.0)
        retain = random_gradients(generator, 1.0, lean_on=forget)
        for p in parameters.values():
            p.zero_()
        report, step = optimiser.step(forget, retain, 1.0), list(parameters.values())
        assert report.coefficients.conflict and report.cosine < 0
        assert report.change_forget == pytest.approx(inner(forget, step), rel=1e-9)
        assert report.change_retain == pytest.approx(inner(retain, step), rel=1e-9)
        for kind in ("forget", "retain"):
            averaged = [m / (1 - momentum ** (number + 1)) for m in optimiser.moments[kind]]
            assert getattr(report, f"averaged_change_{kind}") == pytest.approx(inner(averaged, step), rel=1e-9)
        if not momentum:
            assert report.change_forget == pytest.approx(report.averaged_change_forget, rel=1e-9)


def test_the_published_rule_does_raise_a_loss() -> None:
    # By hand: <f,r> = −10, <f,f> = 101, <r,r> = 1, so δ_f = (1, 0) and δ_r = (10, 1)/101.
    parameters = {"p": torch.zeros(2, dtype=torch.float64)}
    optimiser = EuclideanAdam(parameters)
    forget = [torch.tensor([1.0, -10.0], dtype=torch.float64)]
    retain = [torch.tensor([0.0, 1.0], dtype=torch.float64)]
    report = optimiser.step(forget, retain, restricted_by(1.0), 1.0)
    # d = δ_f + δ_r: both entries positive, so Adam's first step is −(1, 1).
    assert parameters["p"].tolist() == pytest.approx([-1.0, -1.0], abs=1e-5)
    assert report.change_forget == pytest.approx(9.0, abs=1e-4)  # the forget loss rises
    assert report.change_retain == pytest.approx(-1.0, abs=1e-4)
    ours = {"p": torch.zeros(2, dtype=torch.float64)}
    restricted = RestrictedAdam(ours, 1.0).step(forget, retain, 1.0)
    assert restricted.averaged_change_forget <= 0 and restricted.averaged_change_retain <= 0


def test_the_reported_change_of_plain_adam_is_that_of_its_step() -> None:
    generator = torch.Generator().manual_seed(5)
    parameters = zeros()
    optimiser = EuclideanAdam(parameters)
    for _ in range(3):
        forget, retain = random_gradients(generator, 1.0), random_gradients(generator, 1.0)
        before = [p.clone() for p in parameters.values()]
        report = optimiser.step(forget, retain, restricted_by(3.0), 1.0)
        step = [p - b for p, b in zip(parameters.values(), before, strict=True)]
        assert report.change_forget == pytest.approx(inner(forget, step), rel=1e-9)
        assert report.change_retain == pytest.approx(inner(retain, step), rel=1e-9)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e200, -1e200])
@pytest.mark.parametrize("side", ["forget", "retain"])
def test_a_non_finite_gradient_changes_nothing(bad: float, side: str) -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = zeros()
    optimiser = RestrictedAdam(parameters, 2.0)
    optimiser.step(random_gradients(generator, 1.0), random_gradients(generator, 1.0), 0.1)
    before = {k: v.clone() for k, v in (optimiser.state_dict() | parameters).items()}
    both = {name: random_gradients(generator, 1.0) for name in ("forget", "retain")}
    both[side][1][2] = bad
    with pytest.raises(NonFiniteGradientError, match=f"{side} gradient of p1"):
        optimiser.step(both["forget"], both["retain"], 0.1)
    assert all(torch.equal(before[k], v) for k, v in (optimiser.state_dict() | parameters).items())


@pytest.mark.parametrize("second_momentum", [0.0, 0.999])
def test_what_is_not_refused_never_fails_after_the_moments_changed(second_momentum: float) -> None:
    """The largest gradients that pass, and then ones so small that the metric no longer knows of them."""
    parameters = {"p": torch.zeros(3, dtype=torch.float64)}
    optimiser = RestrictedAdam(parameters, 2.0, second_momentum=second_momentum)
    one = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    for scale in (1e119, 1e-30, 0.0):
        optimiser.step([scale * one], [-scale * one.flip(0)], 1e-3)
    with pytest.raises(NonFiniteGradientError, match=r"forget gradient of p: .* below 1e\+120"):
        optimiser.step([1e121 * one], [one], 1e-3)


def test_squares_that_are_not_finite_do_not_warm() -> None:
    optimiser, squares = RestrictedAdam({"p": torch.zeros(2)}, 2.0), {"p": torch.tensor([1.0, math.nan])}
    with pytest.raises(NonFiniteGradientError, match="cached squares of p"):
        optimiser.warm_start(squares, {})


def test_plain_adam_refuses_what_is_not_finite_and_changes_nothing() -> None:
    parameters = {"p": torch.zeros(2)}
    optimiser = EuclideanAdam(parameters)
    with pytest.raises(NonFiniteGradientError, match="must be finite"):
        optimiser.step([torch.tensor([math.nan, 1.0])], [torch.ones(2)], restricted_by(1.0), 1.0)
    assert parameters["p"].count_nonzero() == 0 and not optimiser.state_dict()


def test_absent_gradients_leave_parameters_alone() -> None:
    parameters = zeros()
    optimiser = RestrictedAdam(parameters, 1.0)
    one = torch.ones(3, 4, dtype=torch.float64)
    report = optimiser.step([one, None, None], [None, None, torch.tensor(2.0, dtype=torch.float64)], 0.1)
    assert report.fr == 0 and not report.coefficients.conflict
    assert parameters["p1"].count_nonzero() == 0
    assert (parameters["p0"] < 0).all() and parameters["p2"] < 0
    still = RestrictedAdam(zeros(), 1.0).step([None] * 3, [None] * 3, 0.1)
    assert (still.change_forget, still.change_retain) == (0.0, 0.0)


def test_what_nothing_is_known_of_begins_cold_beside_what_is_warm() -> None:
    """As the first factor of a low-rank adapter, whose gradient is zero at θ₀: alone it would step alike."""
    generator, parameters = torch.Generator().manual_seed(2), zeros()
    alone = {"p1": parameters["p1"].clone()}
    warm, cold = RestrictedAdam(parameters, 2.0), RestrictedAdam(alone, 2.0)
    warm.warm_start({"p0": torch.ones(3, 4, dtype=torch.float64)}, {"p2": torch.tensor(1.0, dtype=torch.float64)})
    for _ in range(6):
        forget, retain = random_gradients(generator, 1.0), random_gradients(generator, 1.0)
        warm.step([None, forget[1], None], [None, retain[1], None], 0.01)
        cold.step([forget[1]], [retain[1]], 0.01)
        torch.testing.assert_close(parameters["p1"], alone["p1"], rtol=1e-12, atol=0)
    assert alone["p1"].abs().max() < 0.07  # no step is longer than the rate says
    state, again = warm.state_dict(), RestrictedAdam(zeros(), 2.0)
    again.warm_start({"p0": torch.ones(3, 4, dtype=torch.float64)}, {"p2": torch.tensor(1.0, dtype=torch.float64)})
    again.load_state_dict(state)
    assert all(torch.equal(again.state_dict()[name], state[name]) for name in state)


def test_warm_start_takes_the_cached_squares_as_second_moment() -> None:
    generator = torch.Generator().manual_seed(1)
    parameters = zeros()
    squares = {name: g.square() + 1 for name, g in zip(parameters, random_gradients(generator, 1.0), strict=True)}
    optimiser = RestrictedAdam(parameters, 3.0)
    optimiser.warm_start(squares, squares)
    state = optimiser.state_dict()
    assert state["forget/p0"].count_nonzero() == state["retain/p0"].count_nonzero() == 0
    torch.testing.assert_close(state["second/p0"], 10 * squares["p0"])  # 1 + λ²
    assert state["weights"].tolist() == [0.0, 0.0, 1.0, 0.0]
    report = optimiser.step(random_gradients(generator, 1.0), random_gradients(generator, 1.0), 0.1)
    assert report.averaged_change_forget <= 0 and report.averaged_change_retain <= 0


def test_state_makes_the_round_trip() -> None:
    def run(restart_at: int | None) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(2)
        parameters = zeros()
        optimiser = RestrictedAdam(parameters, 2.0)
        for i in range(4):
            if i == restart_at:
                state = {k: v.clone() for k, v in optimiser.state_dict().items()}
                optimiser = RestrictedAdam(parameters, 2.0)
                optimiser.load_state_dict(state)
            optimiser.step(random_gradients(generator, 1.0), random_gradients(generator, 1.0), 0.1)
        return parameters

    straight, restarted = run(None), run(2)
    assert all(torch.equal(straight[name], restarted[name]) for name in straight)


def test_half_precision_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="bfloat16"):
        RestrictedAdam({"p": torch.zeros(2, dtype=torch.bfloat16)}, 1.0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_every_kind_of_tensor_moves_as_a_plain_float64_copy_does(momentum: float) -> None:
    generator = torch.Generator().manual_seed(6)
    big = torch.zeros(2, 3, 4, 5)
    tensors = {
        "whole": torch.zeros(3, 4),
        "scalar": torch.zeros(()),
        "empty": torch.zeros(0, 3),
        "channels last": big.clone().contiguous(memory_format=torch.channels_last),
        "frozen": torch.zeros(5),
        "transposed": torch.zeros(6, 9).T,
        "with gaps": torch.zeros(20, 2)[:, 0],
        "sparse gradient": torch.zeros(4, 2),
        "of one loss": torch.zeros(7),
    }

    def gradients_of(i: int) -> tuple[list[Tensor | None], list[Tensor | None]]:
        forget = {name: torch.randn(p.shape, generator=generator) for name, p in tensors.items()}
        retain = {name: torch.randn(p.shape, generator=generator) - 0.5 * forget[name] for name, p in tensors.items()}
        both: tuple[dict, dict] = (forget, retain)
        for each in both:
            each["frozen"] = None
            each["sparse gradient"] = each["sparse gradient"].to_sparse()
        both[i % 2]["of one loss"] = None
        forget["channels last"] = forget["channels last"].contiguous(memory_format=torch.channels_last)
        return list(forget.values()), list(retain.values())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "CPU_BLOCK", 16)
        ours = RestrictedAdam(tensors, 2.0, momentum)
    plain = {name: torch.zeros(p.shape, dtype=torch.float64) for name, p in tensors.items()}
    reference = RestrictedAdam(plain, 2.0, momentum)
    for i in range(4):
        both = gradients_of(i)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(products, "CPU_BLOCK", 16)
            report = ours.step(*both, 0.1)
        exact = reference.step(*([None if g is None else g.to_dense().double() for g in gs] for gs in both), 0.1)
        assert report.ff == pytest.approx(exact.ff, rel=1e-5) and report.rr == pytest.approx(exact.rr, rel=1e-5)
        assert report.averaged_change_forget <= 0 and report.averaged_change_retain <= 0
        assert report.change_retain == pytest.approx(exact.change_retain, rel=1e-4)
    for name, p in tensors.items():
        torch.testing.assert_close(p.double(), plain[name], rtol=1e-4, atol=1e-5)
    assert tensors["frozen"].count_nonzero() == 0 and tensors["whole"].count_nonzero() == 12
    state, exact_state = ours.state_dict(), reference.state_dict()
    assert state.keys() == exact_state.keys()
    assert all(state[k].shape == exact_state[k].shape for k in state)


def test_nearly_opposed_and_uneven_gradients_keep_the_guarantee() -> None:
    generator = torch.Generator().manual_seed(7)
    f, other = torch.randn(2, 1000, generator=generator)

    def step(forget: Tensor, retain: Tensor) -> tuple[Tensor, StepReport]:
        parameters = {"p": torch.zeros(1000)}
        report = RestrictedAdam(parameters, 2.0).step([forget], [retain], 1.0)
        return parameters["p"], report

    moved, report = step(f, -3 * f)  # exactly opposed
    assert moved.count_nonzero() == 0 and report.coefficients.conflict
    for forget, retain in ((f, 1e-3 * other - f), (f, 1e-7 * (other - f)), (1e-15 * f, 1e-15 * (other - f))):
        moved, report = step(forget, retain)
        m_f, m_r = forget.double(), retain.double()
        inverse = 1 / ((m_f**2 + 4 * m_r**2).sqrt() + 1e-8)
        exact = [(m_f * inverse * m_f).sum(), (m_f * inverse * m_r).sum(), (m_r * inverse * m_r).sum()]
        assert [report.ff, report.fr, report.rr] == pytest.approx([e.item() for e in exact], rel=1e-5)
        assert report.averaged_change_forget <= 0 and report.averaged_change_retain <= 0


def test_a_large_norm_of_small_entries_is_no_reason_to_refuse() -> None:
    parameters = {"p": torch.zeros(10_000)}
    large = torch.full((10_000,), 1e18)  # limit 1.8e19, norm 1e20
    RestrictedAdam(parameters, 1.0).step([large], [large], 1.0)
    assert parameters["p"].count_nonzero() == 10_000

import torch

from render3d.fitting.optimiser import Adam


def test_for_one_parameter_it_is_adam():
    state = Adam.start(torch.tensor([0.3], dtype=torch.float64), uniform=True)
    reference = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([reference], lr=0.01, eps=0)
    for number in range(50):
        gradient = torch.tensor([1.0 + number % 7 - 2.5], dtype=torch.float64)
        state = state.step(gradient, 0.01)
        reference.grad = gradient
        adam.step()
    torch.testing.assert_close(state.parameters, reference.detach())


def test_the_first_step_keeps_the_direction_of_the_gradient_and_moves_by_the_learning_rate():
    gradient = torch.tensor([3.0, -4.0, 0.5])
    moved = Adam.start(torch.zeros(3), uniform=True).step(gradient, 0.1).parameters
    torch.testing.assert_close(moved, -0.1 * gradient / 4)


def test_the_scale_of_the_loss_does_not_matter():
    small = large = Adam.start(torch.zeros(4), uniform=True)
    for number in range(10):
        gradient = torch.arange(4.0).add(number).sin()
        small, large = small.step(gradient, 0.1), large.step(1000 * gradient, 0.1)
    torch.testing.assert_close(small.parameters, large.parameters)


def test_a_gradient_of_zero_moves_nothing():
    state = Adam.start(torch.ones(3), uniform=True).step(torch.zeros(3), 0.1)
    assert torch.equal(state.parameters, torch.ones(3))


def test_a_step_leaves_the_state_before_it_as_it_was():
    state = Adam.start(torch.ones(2), uniform=True).step(torch.ones(2), 0.1)
    before = state.parameters.clone(), state.first_moment.clone(), state.second_moment.clone(), state.count
    state.step(torch.tensor([5.0, -1.0]), 0.1)
    after = state.parameters, state.first_moment, state.second_moment, state.count
    assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(before, after, strict=True))
    assert state.count == 1


def test_adam_is_that_of_torch_from_where_its_parameters_were_started():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4, dtype=torch.float64, generator=generator)
    state, reference = Adam.start(start, count=7), start.clone().requires_grad_()
    adam = torch.optim.Adam([reference], lr=0.01, eps=0)
    for _ in range(50):
        gradient = torch.randn(4, dtype=torch.float64, generator=generator)
        state = state.step(gradient, 0.01, since=7)
        reference.grad = gradient
        adam.step()
    assert state.count == 57
    torch.testing.assert_close(state.parameters, reference.detach())


def test_adam_moves_nothing_by_a_gradient_of_zero():
    assert torch.equal(Adam.start(torch.ones(3)).step(torch.zeros(3), 0.1).parameters, torch.ones(3))

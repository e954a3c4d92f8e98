"""Ctrl-C during a compiled step: the model stays whole."""

from __future__ import annotations

import signal

import pytest

import flambeau as torch
from flambeau import nn


@pytest.fixture
def _python_handles_the_signal():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_python_handles_the_signal")
def test_a_step_is_interrupted_when_it_is_through():
    def training(compiled):
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        x = torch.randn(8, 3)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

        def step():
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return model, optimizer, torch.compile(step) if compiled else step

    model, optimizer, step = training(compiled=True)
    step()
    (program,) = next(iter(step.programs.values()))
    run_program = program.forward

    def interrupted(*arrays):
        outputs = run_program(*arrays)
        signal.raise_signal(signal.SIGINT)
        return outputs

    program.forward = interrupted
    with pytest.raises(KeyboardInterrupt):
        step()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    program.forward = run_program
    plain_model, plain_optimizer, plain_step = training(compiled=False)
    plain_step()
    plain_step()
    torch.testing.assert_close(model.state_dict(), plain_model.state_dict())
    assert optimizer.state[model.weight]["step"].item() == 2
    torch.testing.assert_close(step(), plain_step())


@pytest.mark.usefixtures("_python_handles_the_signal")
def test_an_error_leaves_the_handler_in_place():
    step = torch.compile(lambda x: x.mul_(2))
    x = torch.ones(2)
    step(x)
    (program,) = next(iter(step.programs.values()))

    def failing(*arrays):
        raise MemoryError

    program.forward = failing
    with pytest.raises(MemoryError):
        step(x)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

"""What is made once and kept must not be made of a function that is being compiled."""

import flambeau as torch
from flambeau.core import gradients


def test_the_seed_of_the_first_backward_pass(monkeypatch):
    monkeypatch.setattr(gradients, "_ones_cache", {})
    weight = torch.ones(2, requires_grad=True)

    @torch.compile
    def accumulate():
        loss = (3 * weight).sum()
        loss.backward()
        return loss

    for step in range(1, 5):
        assert accumulate().item() == 6
        assert weight.grad.tolist() == [3.0 * step] * 2

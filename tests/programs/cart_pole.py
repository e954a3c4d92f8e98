"""The cart-pole task of Barto, Sutton and Anderson (1983)."""

import math
import random


class CartPole:
    """A pole on a cart that is pushed left or right; each step upright is worth 1."""

    gravity, cart, pole, half_length, force, tau = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02

    def __init__(self, seed):
        self.random = random.Random(seed)

    def reset(self):
        self.state = [self.random.uniform(-0.05, 0.05) for _ in range(4)]
        return self.state

    def step(self, action):
        x, v, angle, omega = self.state
        force = self.force if action == 1 else -self.force
        total = self.cart + self.pole
        moment = self.pole * self.half_length
        push = (force + moment * omega**2 * math.sin(angle)) / total
        angular = (self.gravity * math.sin(angle) - math.cos(angle) * push) / (
            self.half_length * (4 / 3 - self.pole * math.cos(angle) ** 2 / total)
        )
        acceleration = push - moment * angular * math.cos(angle) / total
        self.state = [
            x + self.tau * v,
            v + self.tau * acceleration,
            angle + self.tau * omega,
            omega + self.tau * angular,
        ]
        done = abs(self.state[0]) > 2.4 or abs(self.state[2]) > math.radians(12)
        return self.state, 1.0, done

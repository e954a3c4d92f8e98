"""An actor and a critic that share a layer, on the cart-pole task."""

import argparse
from collections import namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from cart_pole import CartPole
from torch.distributions import Categorical

SavedAction = namedtuple("SavedAction", ["log_prob", "value"])


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 32)
        self.action_head = nn.Linear(32, 2)
        self.value_head = nn.Linear(32, 1)
        self.saved_actions = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--episodes", type=int, default=6)
    parser.add_argument("--entropy", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=543)
    args = parser.parse_args()

    env = CartPole(args.seed)
    torch.manual_seed(args.seed)
    model = Policy()
    optimizer = optim.AdamW(model.parameters(), lr=3e-2, amsgrad=True)
    entropies = []

    def select_action(state):
        probs, state_value = model(torch.FloatTensor(state))
        m = Categorical(probs)
        action = m.sample()
        model.saved_actions.append(SavedAction(m.log_prob(action), state_value))
        entropies.append(m.entropy())
        return action.item()

    def finish_episode():
        R = 0
        returns = []
        for r in model.rewards[::-1]:
            R = r + args.gamma * R
            returns.insert(0, R)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + 1e-7)
        policy_losses, value_losses = [], []
        for (log_prob, value), R in zip(model.saved_actions, returns, strict=True):
            advantage = R - value.item()
            policy_losses.append(-log_prob * advantage)
            value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
        optimizer.zero_grad()
        loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
        loss = loss - args.entropy * torch.stack(entropies).mean()
        loss.backward()
        optimizer.step()
        del model.rewards[:], model.saved_actions[:], entropies[:]
        return loss.item()

    for i_episode in range(1, args.episodes + 1):
        state, ep_reward = env.reset(), 0
        for _ in range(1, 60):
            state, reward, done = env.step(select_action(state))
            model.rewards.append(reward)
            ep_reward += reward
            if done:
                break
        print(f"episode {i_episode} reward {ep_reward:.0f} loss {finish_episode():.6g}")


if __name__ == "__main__":
    main()

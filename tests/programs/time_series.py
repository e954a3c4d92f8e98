"""Sine waves continued by a pair of LSTM cells, in double precision, fitted by L-BFGS."""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim


class Sequence(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = hidden
        self.lstm1 = nn.LSTMCell(1, hidden)
        self.lstm2 = nn.LSTMCell(hidden, hidden)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, input, future=0):
        outputs = []
        h_t = torch.zeros(input.size(0), self.hidden, dtype=torch.double)
        c_t = torch.zeros(input.size(0), self.hidden, dtype=torch.double)
        h_t2, c_t2 = h_t.clone(), c_t.clone()
        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        for _ in range(future):
            h_t, c_t = self.lstm1(output, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        return torch.cat(outputs, dim=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=8)
    parser.add_argument("--compile", action="store_true")
    opt = parser.parse_args()

    np.random.seed(0)
    torch.manual_seed(0)
    shifts = np.random.randint(-80, 80, 8).reshape(8, 1)
    data = torch.from_numpy(np.sin((np.arange(25) + shifts) / 4.0))
    input, target = data[3:, :-1], data[3:, 1:]
    test_input, test_target = data[:3, :-1], data[:3, 1:]
    seq = Sequence(opt.hidden)
    seq.double()
    criterion = nn.MSELoss()
    optimizer = optim.LBFGS(seq.parameters(), lr=0.8, max_iter=5)

    def loss_and_gradients():
        optimizer.zero_grad()
        loss = criterion(seq(input), target)
        loss.backward()
        return loss

    if opt.compile:
        loss_and_gradients = torch.compile(loss_and_gradients)

    def closure():
        loss = loss_and_gradients()
        print(f"loss {loss.item():.8g}")
        return loss

    for i in range(opt.steps):
        print(f"step {i}")
        optimizer.step(closure)
        with torch.no_grad():
            future = 5
            pred = seq(test_input, future=future)
            loss = criterion(pred[:, :-future], test_target)
            print(f"test loss {loss.item():.8g}")
            print(f"continued {pred[:, -future:].numpy().mean():.8g}")


if __name__ == "__main__":
    main()

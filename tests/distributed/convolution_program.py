"""Run in two processes: a network with batch norm under PyTorch's or our data parallelism."""

import importlib
import json
import sys


def main():
    torch = importlib.import_module(sys.argv[1])
    dist = importlib.import_module(f"{sys.argv[1]}.distributed")
    nn = torch.nn
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    data, target = torch.randn(8, 1, 6, 6), torch.randint(0, 3, (8,))
    parallel = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1)
    share = slice(rank * 4, (rank + 1) * 4)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(parallel(data[share]), target[share])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    numbers = [*losses, *model[1].running_mean.tolist(), *model[4].bias.tolist()]
    print("RESULT " + json.dumps([*numbers, model[1].num_batches_tracked.item()]))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

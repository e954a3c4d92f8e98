"""An MLP with a batch norm's buffers, trained in one or more processes; prints losses as JSON."""

import json
import os

import flambeau as torch
import flambeau.distributed as dist
from flambeau import nn
from flambeau.nn.parallel import DistributedDataParallel


def main():
    WORLD = int(os.environ.get("WORLD_SIZE", "1"))
    results = {}
    if WORLD > 1:
        dist.init_process_group()
        rank = dist.get_rank()
    else:
        rank = 0

    torch.manual_seed(0)
    data, target = torch.randn(8, 5), torch.randn(8, 2)
    share = slice(rank * 8 // WORLD, (rank + 1) * 8 // WORLD)
    if rank == 1:
        torch.manual_seed(99)  # the initial values of rank 1 must not matter
    else:
        torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 2))
    model.register_buffer("number", torch.tensor(float(rank)))
    if WORLD > 1:
        model = DistributedDataParallel(model)
        results["keys"] = list(model.state_dict())
        results["buffer"] = model.module.number.tolist()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss_of(rows):
        return ((model(data[rows]) - target[rows]) ** 2).mean()

    losses = []
    for step in range(6):
        optimizer.zero_grad()
        if step == 3 and WORLD > 1:  # the same batch, in two halves of which only one is averaged
            with model.no_sync():
                (loss_of(share) / 2).backward()
            results["local"] = next(model.parameters()).grad[0].tolist()
            (loss_of(share) / 2).backward()
            loss = loss_of(share)
        else:
            loss = loss_of(share)
            loss.backward()
        optimizer.step()
        total = loss.detach().clone()
        if WORLD > 1:
            dist.all_reduce(total, op=dist.ReduceOp.AVG)
        losses.append(total.item())
    results["losses"] = losses
    if WORLD > 1:
        model.module.number.fill_(rank + 5.0)
        model(data)
        results["buffer after forward"] = model.module.number.tolist()
        partial = DistributedDataParallel(nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)]))
        partial.module.forward = lambda x: partial.module[0](x)
        partial(torch.ones(1, 1)).sum().backward()
        try:
            partial(torch.ones(1, 1))
        except RuntimeError as error:
            results["unused"] = str(error)
        try:
            DistributedDataParallel(nn.Linear(1, 1 + rank))
        except RuntimeError as error:
            results["different"] = str(error)
        try:
            nn.SyncBatchNorm(2)(torch.ones(4, 2))
        except NotImplementedError as error:
            results["synchronised"] = str(error)
        dist.destroy_process_group()
    print("RESULT " + json.dumps(results))


if __name__ == "__main__":
    main()

"""Run in two processes: collective operations; prints what came out, as JSON, by name."""

import importlib
import json
import sys


def main():
    torch = importlib.import_module(sys.argv[1])
    dist = importlib.import_module(f"{sys.argv[1]}.distributed")
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    results = {"who": [rank, dist.get_world_size(), dist.get_backend()]}

    def value(dtype, shape=(2, 3)):
        size = 6 if shape == (2, 3) else 1
        return (torch.arange(size).reshape(shape) * (rank + 1) + rank).to(dtype)

    def keep(name, tensor):
        results[name] = tensor.tolist()

    for dtype in ("float32", "float64", "bfloat16", "int32", "int64", "uint8"):
        for op in ("SUM", "PRODUCT", "MIN", "MAX"):
            x = value(getattr(torch, dtype))
            assert dist.all_reduce(x, op=getattr(dist.ReduceOp, op)) is None
            keep(f"all_reduce {dtype} {op}", x)
    x = value(torch.float32)
    dist.all_reduce(x, op=dist.ReduceOp.AVG)
    keep("avg", x)
    x = value(torch.float32, ())
    dist.all_reduce(x)
    keep("0-d", x)
    x = torch.tensor([rank == 0, False, True])
    dist.all_reduce(x)
    keep("bool", x)
    x = value(torch.float32)
    work = dist.all_reduce(x[1], async_op=True)
    results["wait"] = [work.wait(), work.is_completed()]
    keep("view", x)
    x = value(torch.float32).requires_grad_()
    dist.all_reduce(x)
    keep("leaf", x)
    x = torch.tensor([float("nan"), -0.0, 1e-45]) if rank == 1 else torch.zeros(3)
    dist.broadcast(x, src=1)
    keep("broadcast", x.view(torch.int32))
    x = value(torch.float32, ())
    dist.broadcast(x, src=1)
    keep("0-d broadcast", x)
    x = value(torch.int64)
    dist.reduce(x, dst=1)
    keep("reduce", x) if rank == 1 else None
    parts = [torch.zeros(2, 3), torch.zeros(2, 3)]
    dist.all_gather(parts, value(torch.float32))
    keep("all_gather", torch.stack(parts))
    x = torch.zeros(4, 3)
    dist.all_gather_into_tensor(x, value(torch.float32))
    keep("joined", x)
    x = torch.zeros(3)
    dist.reduce_scatter_tensor(x, value(torch.float32).reshape(6))
    keep("reduce_scatter", x)
    parts = [torch.zeros(2, 3), torch.zeros(2, 3)] if rank == 0 else None
    dist.gather(value(torch.float32), parts, dst=0)
    if rank == 0:
        keep("gather", torch.stack(parts))
    x = torch.zeros(2, 3)
    parts = [value(torch.float32), value(torch.float32) + 10] if rank == 1 else None
    dist.scatter(x, parts, src=1)
    keep("scatter", x)
    dist.barrier()
    objects = [None, None]
    dist.all_gather_object(objects, {"rank": rank, "long": "x" * (100 * rank)})
    results["objects"] = list(objects)
    objects = ["a", {"b": 2}] if rank == 0 else [None, None]
    dist.broadcast_object_list(objects, src=0)
    results["object list"] = objects

    def error(name, call):
        try:
            call()
        except Exception as problem:
            results[name] = [type(problem).__name__, str(problem)]

    error("twice", lambda: dist.init_process_group("gloo"))
    error("not a tensor", lambda: dist.all_reduce([1]))
    error("no source", lambda: dist.broadcast(torch.ones(1)))
    error("list type", lambda: dist.all_gather([torch.ones(1).double()] * 2, torch.ones(1)))
    dist.destroy_process_group()
    results["after"] = dist.is_initialized()
    print("RESULT " + json.dumps(results))


if __name__ == "__main__":
    main()

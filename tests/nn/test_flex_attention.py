"""flex_attention and its masks against the oracle, and its gradients against finite differences."""

import warnings

import pytest
import torch
import torch.nn.attention
from torch.nn.attention import flex_attention as oracle

import flambeau
import flambeau.nn.attention
from flambeau.nn.attention import flex_attention as subject
from tests.nn.both import assert_close

LIBRARIES = ((flambeau, subject), (torch, oracle))
DOCUMENTS = [0, 0, 1, 1, 1, 2, 2, 2]


def causal(b, h, q, kv):
    return q >= kv


def near(b, h, q, kv):
    return (q - kv).abs() < 40


def by_head(b, h, q, kv):
    return (q + h) % 2 == kv % 2


def nothing(b, h, q, kv):
    return q > 1000


def penalty(score, b, h, q, kv):
    return score - (q - kv).abs() * 0.1 * (h + 1)


def capped(score, b, h, q, kv):
    return 2 * (score / 2).tanh()


BLOCKS = """
create_block_mask(causal, 1, 1, 300, 300)
create_block_mask(near, None, None, 200, 300, BLOCK_SIZE=(32, 64))
create_block_mask(near, None, None, 200, 300, BLOCK_SIZE=64, separate_full_blocks=False)
create_block_mask(by_head, 2, 3, 60, 50, BLOCK_SIZE=16)
create_block_mask(causal, None, None, 1600, 1600)
create_block_mask(and_masks(causal, near), 2, None, 100, 100, BLOCK_SIZE=16)
create_block_mask(or_masks(near, by_head), 1, 2, 100, 100, BLOCK_SIZE=16)
create_block_mask(noop_mask, None, None, 40, 40, BLOCK_SIZE=16)
create_block_mask(causal, 2, 3, 200, 200, BLOCK_SIZE=64)[0]
create_block_mask(causal, 2, 3, 200, 200, BLOCK_SIZE=64)[:, -1]
create_block_mask(causal, 2, 3, 200, 200, BLOCK_SIZE=64)[1, 2]
create_block_mask(causal, 2, 3, 200, 200, BLOCK_SIZE=64)[:, :, 0:2]
create_block_mask(causal, 1, 2, 200, 200, BLOCK_SIZE=64)._adjust(100, 120)
create_block_mask(near, 1, 2, 200, 200, BLOCK_SIZE=64).to('cpu')
BlockMask.from_kv_blocks(*rows(near), BLOCK_SIZE=64, mask_mod=near)
BlockMask.from_kv_blocks(*rows(near), BLOCK_SIZE=(64, 32), compute_q_blocks=False)
create_block_mask(penalty, 1, 1, 8, 8)
create_block_mask(lambda: True, 1, 1, 8, 8)
BlockMask.from_kv_blocks(torch.tensor(1), torch.tensor([1]))
BlockMask.from_kv_blocks(*rows(near), torch.tensor([[[1]]]))
create_block_mask(causal, 2, 3, 200, 200, BLOCK_SIZE=64)[0].mask_mod(0, 0, 0, 0)
""".strip().splitlines()


def run(program, library, module, **names):
    scope = {**globals(), **vars(module), "torch": library, **names}

    def rows(mask):
        blocks = module.create_block_mask(mask, None, None, 128, 192, "cpu", 64)
        return blocks.kv_num_blocks, blocks.kv_indices

    def create_block_mask(*arguments, **options):
        return module.create_block_mask(*arguments, device="cpu", **options)

    scope |= {"rows": rows, "create_block_mask": create_block_mask}
    try:
        return eval(program, scope)
    except (RuntimeError, ValueError, AssertionError, NotImplementedError) as error:
        return type(error).__name__, str(error).split(" at 0x")[0]


@pytest.mark.parametrize("program", BLOCKS)
def test_blocks(program):
    ours, theirs = (run(program, *pair) for pair in LIBRARIES)
    if isinstance(theirs, tuple):
        assert ours == theirs
        return
    assert str(ours) == str(theirs)
    assert repr(ours) == repr(theirs)
    for a, b in zip(ours.as_tuple(False)[1:9], theirs.as_tuple(False)[1:9], strict=True):
        assert_close(a, b)
    assert_close(ours.to_dense(), theirs.to_dense())
    assert ours.shape == theirs.shape
    assert ours.numel() == theirs.numel()
    assert ours.seq_lengths == theirs.seq_lengths
    assert ours.to_string((3, 2), 1) == theirs.to_string((3, 2), 1)
    assert len(ours.as_tuple()) == len(theirs.as_tuple())


CALLS = """
flex_attention(q, k, v)
flex_attention(q, k, v, score_mod=penalty)
flex_attention(q, k, v, score_mod=capped, scale=0.3)
flex_attention(q, k, v, block_mask=create_block_mask(causal, None, None, 8, 8))
flex_attention(q, k, v, penalty, create_block_mask(and_masks(causal, documents), None, None, 8, 8))
flex_attention(q, k, v, block_mask=create_block_mask(by_head, 2, 4, 8, 8), return_lse=True)
flex_attention(q, k, v, block_mask=create_block_mask(nothing, None, None, 8, 8), return_lse=True)
flex_attention(q, k[:, :2], v[:, :2], enable_gqa=True, return_aux=AuxRequest(lse=True))
flex_attention(q, k, v[..., :2], return_aux=AuxRequest())
flex_attention(q.double(), k.double(), v.double(), penalty)
flex_attention(q, k[:, :, :5], v[:, :, :5], score_mod=relative)
create_mask(causal, None, None, 3, 5), create_mask(by_head, 2, 3, 3, 5)
create_mask(lambda s, b, h, i, j: s.masked_fill(i < j, -float('inf')), 1, 1, 3, 3)
flex_attention(q[0], k[0], v[0])
flex_attention(q, k[..., :2], v)
flex_attention(q, k[:, :2], v[:, :2])
flex_attention(q[:, :3], k[:, :2], v[:, :2], enable_gqa=True)
flex_attention(q[:1], k, v)
flex_attention(q, k, v, return_lse=True, return_aux=AuxRequest(lse=True))
flex_attention(q, k, v, block_mask=create_block_mask(causal, None, None, 9, 9))
flex_attention(q, k, v, block_mask=create_block_mask(causal, None, None, 4, 8))
""".strip().splitlines()


def prepared(library):
    library.manual_seed(0)
    names = {name: library.randn(2, 4, 8, 4) for name in "qkv"}
    documents = library.tensor(DOCUMENTS)
    names["documents"] = lambda b, h, i, j: documents[i] == documents[j]
    bias = library.randn(4, 8)
    names["relative"] = lambda score, b, h, i, j: score + bias[h, j]
    return names


@pytest.mark.parametrize("program", CALLS)
@pytest.mark.filterwarnings("ignore:return_lse is deprecated", "ignore:.*torch.compile")
def test_attention(program):
    ours, theirs = (run(program, *pair, **prepared(pair[0])) for pair in LIBRARIES)
    if isinstance(theirs, tuple) and isinstance(theirs[0], str):
        assert ours == theirs
        return
    ours, theirs = (r if isinstance(r, tuple) else (r,) for r in (ours, theirs))
    for a, b in zip(ours, theirs, strict=True):
        assert_close(tuple(a) if isinstance(a, tuple) else a, b)


def test_gradients():
    """PyTorch has none of them on the CPU."""
    names = prepared(flambeau)
    inputs = [names[n][:1, :2, :3].double().requires_grad_() for n in "qkv"]
    mask = subject.create_block_mask(causal, None, None, 3, 3, "cpu")
    assert flambeau.autograd.gradcheck(
        lambda q, k, v: subject.flex_attention(q, k, v, penalty, mask), inputs
    )
    q, k, v = (names[n].requires_grad_() for n in "qkv")
    mask = subject.create_block_mask(causal, None, None, 8, 8, "cpu")
    a = subject.flex_attention(q, k, v, block_mask=mask)
    b = flambeau.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    for x, y in zip(
        flambeau.autograd.grad(a.sin().sum(), (q, k, v)),
        flambeau.autograd.grad(b.sin().sum(), (q, k, v)),
        strict=True,
    ):
        assert flambeau.allclose(x, y, rtol=1e-4, atol=1e-6)


def test_implementations():
    """Registered implementations are put in place and away as in PyTorch."""
    found = []
    for library in (flambeau, torch):
        attention, log = library.nn.attention, []

        class Handle:
            def remove(self, log=log):
                log.append("removed")

        attention.register_flash_attention_impl("mine", register_fn=Handle)
        attention.register_flash_attention_impl("none", register_fn=lambda log=log: log.append(1))
        for name in ("mine", "mine", "none", "mine"):
            attention.activate_flash_attention_impl(name)
            log.append(attention.current_flash_attention_impl())
        attention.restore_flash_attention_impl()
        log += [attention.current_flash_attention_impl(), attention.list_flash_attention_impls()]
        attention.restore_flash_attention_impl(False)
        with pytest.raises(ValueError, match="Unknown flash attention impl 'other'"):
            attention.activate_flash_attention_impl("other")
        found.append((log, attention.WARN_FOR_UNFUSED_KERNELS))
    assert found[0] == found[1]


def test_deprecations():
    q = flambeau.ones(1, 1, 2, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        subject.flex_attention(q, q, q, return_lse=True)
    assert "return_lse is deprecated" in str(caught[0].message)

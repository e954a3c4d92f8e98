"""Attention and transformers against the oracle: values, gradients, masks, dropout, errors."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
import torch.nn.attention.bias

import flambeau
from flambeau.autograd import gradcheck, gradgradcheck
from tests.nn.both import assert_close, inputs_of, run

BOTH = (flambeau, torch)
# PyTorch says that nested tensors, which its encoders use at inference, are a prototype; both say
# why an encoder cannot use them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning"),
]


def seeded(expression):
    layers = []
    for library in BOTH:
        library.manual_seed(7)
        layers.append(run(expression, library))
    return layers


def tensors_in(result):
    """The tensors of a nested result, in their order."""
    if isinstance(result, (flambeau.Tensor, torch.Tensor)):
        return [result]
    return [t for part in result if part is not None for t in tensors_in(part)]


def compare(call, inputs, layers=None, tolerance=3e-5):
    """Values, and all gradients, of `call(library, layer, *inputs)`.

    The tolerance: products and sums in another order.
    """
    results = []
    for library, layer, given in zip(BOTH, layers or (None, None), inputs, strict=True):
        library.manual_seed(3)
        made = tensors_in(call(library, layer, *given))
        floating = [t for t in made if t.requires_grad]
        weights = [
            library.tensor(np.random.default_rng(i).standard_normal(t.shape).astype("float32"))
            for i, t in enumerate(floating)
        ]
        if floating:
            sum((t * w).sum() for t, w in zip(floating, weights, strict=True)).backward()
        parameters = [] if layer is None else list(layer.parameters())
        results.append((made, [t.grad for t in given], [p.grad for p in parameters]))
    for what, a, b in zip(("output", "input", "parameter"), *results, strict=True):
        assert_close(a, b, what, tolerance)


BOOLS = "torch.tensor([[True, False, True, True], [True] * 4, [False] * 4])"
FLOATS = f"torch.zeros(3, 4).masked_fill({BOOLS}.logical_not(), -torch.inf)"
QKV = "q, k, v"


@pytest.mark.parametrize(
    ("arguments", "shapes"),
    [
        (QKV, [(2, 2, 3, 4), (2, 2, 4, 4), (2, 2, 4, 5)]),
        (QKV, [(3, 4), (4, 4), (4, 5)]),
        (QKV, [(2, 3, 4), (2, 4, 4), (2, 4, 4)]),
        (QKV, [(2, 3, 3, 4), (2, 1, 4, 4), (1, 1, 4, 4)]),
        (f"{QKV}, {BOOLS}", [(2, 2, 3, 4)] + [(2, 2, 4, 4)] * 2),
        (f"{QKV}, {FLOATS}", [(2, 2, 3, 4)] + [(2, 2, 4, 4)] * 2),
        (f"{QKV}, {BOOLS}, is_causal=True", [(2, 2, 3, 4)] + [(2, 2, 4, 4)] * 2),
        (f"{QKV}, is_causal=True, scale=0.3", [(2, 2, 3, 4)] + [(2, 2, 4, 4)] * 2),
        (f"{QKV}, is_causal=True", [(2, 2, 4, 4)] + [(2, 2, 3, 4)] * 2),
        (f"{QKV}, dropout_p=0.4", [(2, 2, 3, 4)] + [(2, 2, 4, 4)] * 2),
        (f"{QKV}, {BOOLS}, 0.4", [(2, 2, 3, 4)] + [(2, 2, 4, 4)] * 2),
        (f"{QKV}, None, 1.0", [(2, 2, 3, 4)] + [(2, 2, 4, 4)] * 2),
        (f"{QKV}, enable_gqa=True", [(2, 6, 3, 4)] + [(2, 3, 4, 4)] * 2),
        (f"{QKV}, m", [(2, 2, 3, 4)] + [(2, 2, 4, 4)] * 2 + [(2, 1, 3, 4)]),
        (QKV, [(1, 1, 3, 2)] + [(1, 1, 0, 2)] * 2),
    ],
)
def test_scaled_dot_product_attention(arguments, shapes):
    def call(library, _, q, k, v, m=None):
        scope = {"torch": library, "q": q, "k": k, "v": v, "m": m}
        function = library.nn.functional.scaled_dot_product_attention
        return eval(f"function({arguments})", {"function": function, **scope})

    compare(call, inputs_of(shapes))


def test_derivatives():
    def attend(q, k, v, mask):
        function = flambeau.nn.functional.scaled_dot_product_attention
        return function(q, k, v, mask)

    flambeau.manual_seed(0)
    shapes = [(2, 2, 3), (2, 3, 3), (2, 3, 2), (2, 3)]
    given = [flambeau.randn(s, dtype=flambeau.float64, requires_grad=True) for s in shapes]
    assert gradcheck(attend, given)
    assert gradgradcheck(attend, given)


KEY_MASK = "torch.tensor([[False, False, False, True], [False, True, False, False]])"
CAUSAL = "nn.Transformer.generate_square_subsequent_mask(4)"


@pytest.mark.parametrize(
    "options",
    ["8, 2", "8, 2, bias=False, batch_first=True", "8, 4, 0.3", "8, 1, add_bias_kv=True"]
    + ["8, 2, add_zero_attn=True, batch_first=True", "8, 2, kdim=8, vdim=8, batch_first=True"],
)
@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "need_weights=False",
        "average_attn_weights=False",
        f"key_padding_mask={KEY_MASK}",
        f"key_padding_mask={KEY_MASK}, need_weights=False",
        f"attn_mask={CAUSAL}, is_causal=True, need_weights=False",
        "attn_mask=torch.ones(4, 4, dtype=torch.bool).triu(1), need_weights=False, "
        f"key_padding_mask={KEY_MASK}",
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_multihead_attention(options, arguments, training):
    layers = seeded(f"nn.MultiheadAttention({options})")
    ours, theirs = (layer.train(training) for layer in layers)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p, q, "weight", 1e-7)
    shape = (2, 4, 8) if theirs.batch_first else (4, 2, 8)

    def call(library, layer, x):
        return run(f"layer(x, x, x, {arguments})", library, layer=layer, x=x)

    compare(call, inputs_of([shape]), layers)


def test_other_sizes_of_key_and_value():
    options = "8, 2, 0.3, kdim=3, vdim=5, add_bias_kv=True, add_zero_attn=True"
    layers = seeded(f"nn.MultiheadAttention({options})")
    assert list(layers[0].state_dict()) == list(layers[1].state_dict())
    for p, q in zip(*(layer.parameters() for layer in layers), strict=True):
        assert_close(p, q, "weight", 1e-7)

    def call(library, layer, q, k, v):
        masks = {
            "attn_mask": library.zeros(4, 5),
            "key_padding_mask": library.zeros(2, 5),
            "average_attn_weights": False,
        }
        return layer(q, k, v, **masks)

    compare(call, inputs_of([(4, 2, 8), (5, 2, 3), (5, 2, 5)]), layers)
    unbatched = inputs_of([(4, 8), (5, 3), (5, 5)])
    compare(lambda _, layer, q, k, v: layer(q, k, v), unbatched, layers)
    compare(lambda _, layer, q, k, v: layer(q, k, v, need_weights=False), unbatched, layers)


def test_static_keys_and_values():
    layers = seeded("nn.MultiheadAttention(8, 2)")

    def call(library, layer, x, k, v):
        return library.nn.functional.multi_head_attention_forward(
            x, x, x, 8, 2, layer.in_proj_weight, layer.in_proj_bias, None, None, False, 0.0,
            layer.out_proj.weight, layer.out_proj.bias, static_k=k, static_v=v,
        )  # fmt: skip

    compare(call, inputs_of([(4, 2, 8), (4, 5, 4), (4, 5, 4)]), layers)


SOURCE = "src_key_padding_mask=torch.tensor([[False] * 4, [False, False, True, True]])"


@pytest.mark.parametrize(
    "options",
    [
        "",
        "batch_first=True",
        "norm_first=True, activation='gelu'",
        "batch_first=True, bias=False, activation=torch.tanh",
        "batch_first=True, norm_first=True, dropout=0.0",
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_encoder(options, training):
    norm = ", nn.LayerNorm(8)" if "first" in options else ""
    layer = f"nn.TransformerEncoderLayer(8, 2, 12{', ' * bool(options)}{options})"
    layers = seeded(f"nn.TransformerEncoder({layer}, 2{norm})")
    ours, theirs = (layer.train(training) for layer in layers)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p, q, "weight", 1e-7)
    shape = (2, 4, 8) if "batch_first" in options else (4, 2, 8)
    for arguments in ("", SOURCE, f"mask={CAUSAL}", f"mask={CAUSAL}, is_causal=True"):

        def call(library, layer, x, arguments=arguments):
            return run(f"layer(x, {arguments})", library, layer=layer, x=x)

        for layer in layers:
            layer.zero_grad()
        compare(call, inputs_of([shape]), layers)
        if not training:
            with torch.no_grad(), flambeau.no_grad():
                compare(call, inputs_of([shape]), layers)


@pytest.mark.parametrize("options", ["", "batch_first=True, norm_first=True", "bias=False"])
def test_decoder(options):
    layer = f"nn.TransformerDecoderLayer(8, 2, 12, 0.2{', ' * bool(options)}{options})"
    layers = seeded(f"nn.TransformerDecoder({layer}, 2)")
    assert repr(layers[0]) == repr(layers[1])
    assert list(layers[0].state_dict()) == list(layers[1].state_dict())
    batch_first = "batch_first" in options
    shapes = [(2, 4, 8), (2, 5, 8)] if batch_first else [(4, 2, 8), (5, 2, 8)]
    padding = "memory_key_padding_mask=torch.tensor([[False] * 5, [False] * 3 + [True] * 2])"
    for arguments in ("", f"tgt_mask={CAUSAL}", f"{padding}, tgt_is_causal=False"):

        def call(library, layer, x, memory, arguments=arguments):
            return run(f"layer(x, m, {arguments})", library, layer=layer, x=x, m=memory)

        for layer in layers:
            layer.zero_grad()
        compare(call, inputs_of(shapes), layers)


@pytest.mark.parametrize("options", ["", ", batch_first=True, norm_first=True"])
def test_transformer(options):
    layers = seeded(f"nn.Transformer(8, 2, 1, 1, 12{options})")
    assert repr(layers[0]) == repr(layers[1])
    assert list(layers[0].state_dict()) == list(layers[1].state_dict())
    for p, q in zip(*(layer.parameters() for layer in layers), strict=True):
        assert_close(p, q, "weight", 1e-7)
    shapes = [(2, 5, 8), (2, 4, 8)] if options else [(5, 2, 8), (4, 2, 8)]

    def call(library, layer, src, tgt):
        return run(f"layer(s, t, tgt_mask={CAUSAL})", library, layer=layer, s=src, t=tgt)

    compare(call, inputs_of(shapes), layers)
    for twin in (copy.deepcopy(layers[0]), pickle.loads(pickle.dumps(layers[0]))):
        x = flambeau.ones(3, 3, 8)
        assert flambeau.equal(twin.eval()(x, x), layers[0].eval()(x, x))


ALL_MASKED = "torch.tensor([[True] * 4, [False, False, True, True]])"


@pytest.mark.parametrize(
    "call",
    [
        f"nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)|src_key_padding_mask={ALL_MASKED}",
        f"nn.TransformerEncoderLayer(8, 2, 12)|src_key_padding_mask={ALL_MASKED}[:, :2]",
        "nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)|is_causal=True",
        "nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, activation=F.relu6)"
        f"|src_key_padding_mask={ALL_MASKED}",
        "nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), 2, "
        f"enable_nested_tensor=False)|src_key_padding_mask={ALL_MASKED}",
        "nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), 2, "
        f"nn.LayerNorm(8))|src_key_padding_mask={ALL_MASKED}",
        "nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), 2)"
        "|src_key_padding_mask=torch.tensor([[False, True, False, True]] * 2)",
    ],
)
def test_inference_with_everything_masked(call):
    expression, arguments = call.split("|")
    layers = [layer.eval() for layer in seeded(expression)]
    results = []
    for library, layer in zip(BOTH, layers, strict=True):
        x = library.linspace(-1, 1, 64).reshape(2, 4, 8)
        x = x if "batch_first" in expression else x.transpose(0, 1)[:2]
        with library.no_grad():
            results.append(run(f"layer(x, {arguments})", library, layer=layer, x=x))
    assert_close(*results, call, 3e-5)


def outcome(expression, library):
    """The result's description, or the error's class and words; and the warnings'."""
    library.manual_seed(0)
    x = library.arange(24.0).reshape(3, 2, 4) / 10
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            result = run(expression, library, x=x)
        except Exception as error:
            return type(error), str(error)
    heard = [str(w.message) for w in heard if "prototype" not in str(w.message)]
    return [tuple(t.shape) for t in tensors_in(result)], heard


Q = "torch.zeros(2, 3, 4, 8)"
MASK = "torch.zeros"
ATTENTION = "nn.MultiheadAttention(4, 2)"
CALLS = [
    f"F.scaled_dot_product_attention({arguments})"
    for arguments in (
        f"{Q}, {Q}, {Q}, {MASK}(5, 4)",
        f"{Q}, {Q}, {Q}, {MASK}(4, 4, dtype=torch.float64)",
        f"{Q}, {Q}, {Q}, {MASK}(4, 4, dtype=torch.int64)",
        f"{Q}, {Q}, {Q}, {MASK}(2, 3, 4, 4)",
        f"{Q}[:1], {Q}[:1], {Q}[:1], {MASK}(2, 1, 4, 4)",
        f"{Q}, {Q}.double(), {Q}",
        f"{Q}[0, 0, 0], {Q}[0, 0, 0], {Q}[0, 0, 0]",
        f"{Q}, {Q}[..., :4], {Q}",
        f"{Q}, {Q}[:, :2], {Q}[:, :2], enable_gqa=True",
        f"{Q}, {Q}, {Q}, dropout_p=1.5",
        f"{Q}.long(), {Q}.long(), {Q}.long()",
        f"{Q}[0], {Q}[0], {Q}[0], {MASK}(4, 4), 0.0, True",
        f"{Q}, {Q}, {Q}, {MASK}(4, 4), 0.1, True",
        f"1, {Q}, {Q}",
        f"{Q}, {Q}, {Q}, is_causal=1",
        f"{Q}, {Q}, {Q}, nn.attention.bias.causal_lower_right(4, 4), is_causal=True",
    )
]
CALLS += [
    f"nn.MultiheadAttention({options})" for options in ("5, 2", "0, 2", "4, 0", "-4, 2", "4, 2")[:4]
]
CALLS += [
    f"{ATTENTION}({arguments})"
    for arguments in (
        "x[0, 0], x, x",
        "x, x[0], x",
        "x[0], x[0], x",
        f"x, x, x, key_padding_mask={MASK}(3)",
        f"x, x, x, key_padding_mask={MASK}(3, 2)",
        f"x, x, x, key_padding_mask={MASK}(2, 4)",
        f"x, x, x, key_padding_mask={MASK}(2, 3, dtype=torch.int64)",
        f"x, x, x, attn_mask={MASK}(3, 4)",
        f"x, x, x, attn_mask={MASK}(3, 3, 3)",
        f"x, x, x, attn_mask={MASK}(4, 3, 3)",
        f"x, x, x, attn_mask={MASK}(3)",
        f"x, x, x, attn_mask={MASK}(3, 3, dtype=torch.int32)",
        f"x, x, x, attn_mask={MASK}(3, 3, dtype=torch.float64)",
        f"x, x, x, attn_mask={MASK}(3, 3), key_padding_mask={MASK}(2, 3, dtype=torch.bool)",
        "x, x, x, is_causal=True",
        f"{MASK}(3, 2, 5), x, x",
        "x, x[:2], x",
        f"x[:, 0], x[:, 0], x[:, 0], key_padding_mask={MASK}(2, 3)",
        f"x[:, 0], x[:, 0], x[:, 0], attn_mask={MASK}(3, 3, 3)",
    )
]
LAYER = "nn.TransformerEncoderLayer(4, 2, 8"
CALLS += [
    f"nn.TransformerEncoder({LAYER}{options}), 1)(x)"
    for options in (
        "",
        ", batch_first=True",
        ", batch_first=True, norm_first=True",
        ", batch_first=True, bias=False",
        ", batch_first=True, activation=torch.tanh",
        ", batch_first=True, activation=nn.GELU()",
        ", activation='tanh'",
    )
]
CALLS += [
    "nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1, 8, batch_first=True), 1)(x)",
    "nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 1, enable_nested_tensor=False)(x)",
    f"{LAYER})(x, src_mask={MASK}(4, 4))",
    f"{LAYER})(x, is_causal=True)",
    f"{LAYER})(x, {MASK}(3, 3), {MASK}(2, 3, dtype=torch.bool))",
    f"{LAYER})(x, None, {MASK}(2, 3, dtype=torch.int64))",
    f"nn.TransformerDecoderLayer(4, 2, 8)(x, x, {MASK}(3, 3), None, {MASK}(2, 3) > 1)",
    "nn.Transformer(4, 2, 1, 1, 8)(x, x[:, :1])",
    "nn.Transformer(4, 2, 1, 1, 8)(x, torch.zeros(3, 2, 5))",
    "nn.Transformer(4, 2, 1, 1, 8)(x[:, 0], x[:, 0])",
    "nn.Transformer(4, 3)",
    "nn.Transformer.generate_square_subsequent_mask(3)",
    "nn.attention.sdpa_kernel('x').__enter__()",
]


@pytest.mark.parametrize("expression", CALLS)
def test_results_and_errors(expression):
    assert outcome(expression, flambeau) == outcome(expression, torch)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_causal_mask(dtype):
    for size in (0, 1, 4):
        ours, theirs = (
            library.nn.Transformer.generate_square_subsequent_mask(
                size, dtype=getattr(library, dtype)
            )
            for library in BOTH
        )
        assert_close(ours.float(), theirs.float(), "mask")
        assert str(ours.dtype) == str(theirs.dtype)


@pytest.mark.parametrize("shape", [(2, 4), (4, 2), (3, 3)])
@pytest.mark.parametrize("name", ["causal_upper_left", "causal_lower_right"])
@pytest.mark.filterwarnings("ignore:Lower right causal bias:UserWarning")
def test_causal_bias(name, shape):
    def call(library, _, q, k):
        bias = getattr(library.nn.attention.bias, name)(*shape)
        assert bias.variant.name == name.removeprefix("causal_").upper()
        return library.nn.functional.scaled_dot_product_attention(q, k, k, bias)

    compare(call, inputs_of([(1, 2, shape[0], 4), (1, 2, shape[1], 4)]))
    ours, theirs = (getattr(library.nn.attention.bias, name)(*shape) for library in BOTH)
    assert repr(ours) == repr(theirs)


@pytest.mark.filterwarnings("ignore:.*kernel.*:UserWarning")
@pytest.mark.parametrize("axes", [3, 4])
@pytest.mark.parametrize("names", [["MATH"], ["FLASH_ATTENTION"], ["EFFICIENT_ATTENTION"]])
def test_choice_of_implementation(names, axes):
    results = []
    for library in BOTH:
        attention = library.nn.attention
        x = library.ones((1,) * (axes - 2) + (2, 2))
        chosen = [attention.SDPBackend.__members__[name] for name in names]
        before = attention._cur_sdpa_kernel_backends()
        with attention.sdpa_kernel(chosen):
            assert [b.name for b in attention._cur_sdpa_kernel_backends()] == names
            try:
                made = library.nn.functional.scaled_dot_product_attention(x, x, x)
                results.append(tuple(made.shape))
            except RuntimeError as error:
                results.append(str(error).split(" (")[0])
        assert attention._cur_sdpa_kernel_backends() == before
    # PyTorch adds the reasons as warnings.
    assert results[0] == results[1]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("shape", [(0, 2, 8), (3, 0, 8)])
def test_nothing_to_attend(shape, need_weights):
    layers = seeded("nn.MultiheadAttention(8, 2)")

    def call(_, layer, x):
        return layer(x, x, x, need_weights=need_weights)

    compare(call, inputs_of([shape]), layers)


@pytest.mark.parametrize("wanted", [{0}, {1}, {2}, {3}, {1, 3}])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_some_gradients(wanted, dropout):
    inputs = inputs_of([(1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 3), (3, 5)])
    for given in inputs:
        for place, tensor in enumerate(given):
            tensor.requires_grad_(place in wanted)

    def call(library, _, q, k, v, mask):
        return library.nn.functional.scaled_dot_product_attention(q, k, v, mask, dropout)

    compare(call, inputs)


def test_gradient_of_the_weights_alone():
    layers = seeded("nn.MultiheadAttention(8, 2)")
    compare(lambda _, layer, x: layer(x, x, x)[1], inputs_of([(4, 2, 8)]), layers)

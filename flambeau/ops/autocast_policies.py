"""Which functions autocast converts the arguments of, by kind of device.

PyTorch's names of operations (https://pytorch.org/docs/stable/amp.html); `linalg_` and `fft_` stand
before the names of those namespaces.

    lower                   the type that autocast was given (bfloat16 or float16)
    float32                 float32
    float32 unless dtype    float32, where the caller gives no `dtype`
    promote                 the widest type among the arguments
    banned                  an error
"""

from __future__ import annotations

CPU = {
    "lower": """
        addbmm addmm baddbmm bmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d
        conv_transpose3d linalg_vecdot linear matmul mm prelu scaled_dot_product_attention
    """,
    "float32": """
        adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy
        binary_cross_entropy_with_logits cdist cholesky cholesky_inverse cholesky_solve
        cosine_embedding_loss cross_entropy_loss ctc_loss fft_fft fft_fft2 fft_fftn fft_hfft
        fft_ifft fft_ifft2 fft_ifftn fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2
        fft_rfftn fractional_max_pool2d fractional_max_pool3d geqrf grid_sampler grid_sampler_2d
        grid_sampler_3d hinge_embedding_loss huber_loss inverse kl_div l1_loss linalg_cholesky
        linalg_cholesky_ex linalg_cond linalg_eig linalg_eigh linalg_eigvals linalg_eigvalsh
        linalg_householder_product linalg_inv linalg_inv_ex linalg_lstsq linalg_matrix_rank
        linalg_qr linalg_solve linalg_svd linalg_svdvals linalg_tensorinv linalg_tensorsolve
        lu_solve margin_ranking_loss max_pool3d max_unpool2d max_unpool3d mse_loss multi_margin_loss
        multilabel_margin_loss nanquantile nll_loss orgqr ormqr pinverse poisson_nll_loss polar prod
        qr quantile reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
        replication_pad3d smooth_l1_loss soft_margin_loss stft svd trace triangular_solve
        triplet_margin_loss view_as_complex
    """,
    "promote": "cat stack index_copy",
}
CUDA = {
    "lower": """
        addbmm addmm addmv addr baddbmm bmm chain_matmul conv1d conv2d conv3d conv_transpose1d
        conv_transpose2d conv_transpose3d einsum linalg_multi_dot linalg_vecdot linear matmul mm mv
        prelu scaled_dot_product_attention
    """,
    "float32": """
        acos asin binary_cross_entropy_with_logits cdist cosh cosine_embedding_loss
        cosine_similarity dist erfinv exp expm1 frobenius_norm group_norm hinge_embedding_loss
        huber_loss interpolate kl_div l1_loss layer_norm linalg_matrix_norm linalg_vector_norm log
        log10 log1p log2 logsumexp margin_ranking_loss mse_loss multi_margin_loss
        multilabel_margin_loss native_layer_norm nll_loss nuclear_norm pdist poisson_nll_loss pow
        reciprocal renorm rms_norm rsqrt sinh smooth_l1_loss soft_margin_loss softplus tan
        triplet_margin_loss
    """,
    "float32 unless dtype": "cumprod cumsum log_softmax norm prod softmax sum",
    "promote": """
        addcdiv addcmul atan2 bilinear cross dot grid_sampler index_put scatter_add tensordot vdot
    """,
    "banned": "binary_cross_entropy",
}
POLICIES: dict[str, dict[str, str]] = {}
for _kind, _lists in (("cpu", CPU), ("cuda", CUDA)):
    for _policy, _names in _lists.items():
        for _name in _names.split():
            POLICIES.setdefault(_name, {})[_kind] = _policy

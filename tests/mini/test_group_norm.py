"""The recipe's group normalisation is PyTorch's, forwards and backwards."""

import torch
from torch import nn

from sipo.mini.train.group_norm import PlainGroupNorm, replace_group_norms


def test_it_is_the_same_function_with_the_same_derivatives() -> None:
    torch.manual_seed(0)
    plain = nn.GroupNorm(4, 12).double()
    nn.init.normal_(plain.weight)
    nn.init.normal_(plain.bias)
    ours = nn.Sequential(nn.GroupNorm(4, 12).double())
    ours[0].load_state_dict(plain.state_dict())
    replace_group_norms(ours)
    assert type(ours[0]) is PlainGroupNorm
    images = torch.randn(3, 12, 5, 6, dtype=torch.float64) + 2
    pull = torch.randn_like(images)
    found = []
    for model in (plain, ours):
        x = images.clone().requires_grad_()
        y = model(x)
        y.backward(pull)
        found.append([y, x.grad, *(p.grad for p in model.parameters())])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected)

import pytest
import torch
import torch.nn.functional as F

from sparring.models.normalization import RMSNorm, rms_normalized


def random(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def test_it_is_pytorch_s_and_so_are_its_gradients():
    norm = RMSNorm(6).double()
    torch.nn.init.normal_(norm.weight)
    x = random(3, 5, 6).requires_grad_()
    expected = F.rms_norm(x, (6,), norm.weight, 1e-6)
    torch.testing.assert_close(norm(x), expected)
    direction = random(3, 5, 6)
    inputs = (x, norm.weight)
    found, known = (torch.autograd.grad((y * direction).sum(), inputs) for y in (norm(x), expected))
    torch.testing.assert_close(found, known)


def test_it_can_be_differentiated_twice():
    x = random(2, 4).requires_grad_()
    assert torch.autograd.gradcheck(rms_normalized, x)
    assert torch.autograd.gradgradcheck(rms_normalized, x)
    assert torch.autograd.gradgradcheck(lambda x: rms_normalized(x) ** 2, x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_every_type_keeps_its_own_and_large_numbers(dtype):
    x = (1000 * random(4, 64)).to(dtype)
    y = RMSNorm(64)(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), F.rms_norm(x.float(), (64,)), atol=0.03, rtol=0.02)
    assert RMSNorm(64)(torch.zeros(2, 64, dtype=dtype)).abs().max() == 0

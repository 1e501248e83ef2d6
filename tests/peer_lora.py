"""LoRA layers in plain PyTorch, where PEFT is not installed: the same arithmetic, names and draws
of random numbers as PEFT's, so that a run has the same losses."""
import math

import torch


class LoraLinear(torch.nn.Module):
    """W x + b + s B A x, of a linear layer that stays as it is; B begins at 0."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base_layer, self.scale = base, alpha / rank
        self.lora_A = torch.nn.Linear(base.in_features, rank, bias=False)
        self.lora_B = torch.nn.Linear(rank, base.out_features, bias=False)
        torch.nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        torch.nn.init.zeros_(self.lora_B.weight)

    def forward(self, x):
        return self.base_layer(x) + self.lora_B(self.lora_A(x)) * self.scale


def add_lora(model, targets, rank, alpha):
    """Puts a branch beside every linear layer whose name is, or ends in, one of the targets."""
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and any(
                name == target or name.endswith('.' + target) for target in targets):
            parent, _, own = name.rpartition('.')
            setattr(model.get_submodule(parent), own, LoraLinear(module, rank, alpha))
    return model

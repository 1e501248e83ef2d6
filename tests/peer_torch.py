"""The peer's models in PyTorch and transformers, and what they do without training: predictions,
and the export for ONNX Runtime."""
import importlib.util

import torch
import transformers

from peer_batches import Times, predict as classify, read_items

# Parts of modules' names, by the model's type.
LINEAR = {'distilbert': ['q_lin', 'k_lin', 'v_lin', 'out_lin', 'lin1', 'lin2'],
          'bert': ['query', 'key', 'value', 'attention.output.dense', 'intermediate.dense',
                   'output.dense']}
# What ends a block's two halves, before the residual is added.
SUBLAYERS = {'distilbert': ('attention.out_lin', 'ffn.dropout'), 'bert': ('output.dropout',)}
ADAPTER_WIDTH = 256


def make_base(a):
    if a.random:
        config = transformers.DistilBertConfig()
        model = transformers.DistilBertForSequenceClassification(config)
        tokenizer = transformers.BertTokenizerFast(a.vocab)
    else:
        tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(a.model,
                                                                                num_labels=2)
    return model, tokenizer


def add_adapters(model):
    """h + W2 gelu(W1 h + b1) + b2 where each half of a block ends; W2 and the biases begin at 0."""
    width = model.config.hidden_size
    ends = [module for name, module in model.named_modules()
            if name.endswith(SUBLAYERS[model.config.model_type])]
    for module in ends:
        down, up = torch.nn.Linear(width, ADAPTER_WIDTH), torch.nn.Linear(ADAPTER_WIDTH, width)
        for zero in down.bias, up.weight, up.bias:
            torch.nn.init.zeros_(zero)
        module.adapter = torch.nn.Sequential(down, torch.nn.GELU(), up)
        module.register_forward_hook(lambda m, _, h: h + m.adapter(h))


def is_plain(a):
    """Whether LoRA's layers are peer_lora's."""
    return a.plain_lora or importlib.util.find_spec('peft') is None


def make_model(a):
    """With what the method adds; its tokenizer, its type."""
    model, tokenizer = make_base(a)
    kind = model.config.model_type
    if a.method == 'adapter':
        add_adapters(model)
    if a.method in ('learner', 'lora') and is_plain(a):
        from peer_lora import add_lora
        add_lora(model, LINEAR[kind], a.rank, a.rank)
    elif a.method in ('learner', 'lora'):
        import peft
        model = peft.get_peft_model(model, peft.LoraConfig(
            r=a.rank, lora_alpha=a.rank, target_modules=LINEAR[kind], lora_dropout=0.0))
    return model, tokenizer, kind


def encoder(tokenizer, max_length):
    return lambda text: tokenizer(text, truncation=True, max_length=max_length)['input_ids']


class Forward:
    """A model's logits for a batch of tensors."""

    def __init__(self, a, model):
        self.bf16, self.device = a.bf16, a.device
        self.model = torch.compile(model) if a.compile else model

    def __call__(self, x):
        if not self.bf16:
            return self.model(**x).logits
        with torch.autocast(self.device, torch.bfloat16):
            return self.model(**x).logits.float()


def tensors(batch):
    return {name: torch.from_numpy(values) for name, values in batch.items()}


def begin(a):
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    if a.device == 'cuda':
        import peer_cuda
        peer_cuda.begin(a)


def predict(a, started):
    begin(a)
    model, tokenizer = make_base(a)
    forward = Forward(a, model.eval())
    items = read_items(a.task_dir / 'dev.tsv', encoder(tokenizer, a.max_length))
    with torch.inference_mode():
        return classify(a, Times(started), items, lambda batch: forward(tensors(batch)).numpy())


class Logits(torch.nn.Module):
    """A model with its inputs in their order, and the logits alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def export(a):
    """Writes the model for ONNX Runtime, for batches of any number and length of texts. Its weights
    go to a second file, which ONNX Runtime maps: it starts sooner and needs less memory so."""
    begin(a)
    model, _ = make_base(a)
    ids = torch.randint(1000, 2000, (3, 9))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    sizes = {0: torch.export.Dim('texts'), 1: torch.export.Dim('tokens')}
    a.export.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(Logits(model).eval(), (ids, mask), a.export, dynamo=True, verbose=False,
                      input_names=['input_ids', 'attention_mask'], output_names=['logits'],
                      dynamic_shapes=(sizes, sizes), external_data=True)

"""The peer's predictions in ONNX Runtime: a process without PyTorch, which takes time and memory of
its own to load."""
import onnxruntime
import tokenizers

from peer_batches import Times, predict, read_items


def make_tokenizer(a):
    if a.random:
        return tokenizers.BertWordPieceTokenizer(a.vocab)
    if (a.model / 'tokenizer.json').exists():
        made = tokenizers.Tokenizer.from_file(str(a.model / 'tokenizer.json'))
        made.no_padding()
        return made
    return tokenizers.BertWordPieceTokenizer(str(a.model / 'vocab.txt'))


def run(a, started):
    tokenizer = make_tokenizer(a)
    tokenizer.enable_truncation(a.max_length)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = a.threads
    session = onnxruntime.InferenceSession(a.onnx, settings, providers=['CPUExecutionProvider'])
    items = read_items(a.task_dir / 'dev.tsv', lambda text: tokenizer.encode(text).ids)
    return predict(a, Times(started), items, lambda batch: session.run(None, batch)[0])

"""mini-sd's tokenizer and text encoder: CLIP's own classes, four layers, a BPE of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from tokenizers import pre_tokenizers
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from sipo.feedback.prompts.grammar import NUMBER_WORDS, plural
from sipo.feedback.prompts.mini_prompts import CLASSES
from sipo.feedback.prompts.prompt import COLORS, RELATIONS

START, END = "<|startoftext|>", "<|endoftext|>"
MAX_TOKENS = 20
WIDTH = 128
LAYERS = 4


def new_tokenizer() -> CLIPTokenizer:
    """Every word of the world is one token; any other text still has one, byte by byte.

    The same in every process: ids are what the models were trained with.
    """
    words = {"a", "an", "and", "photo", "of", *COLORS, *NUMBER_WORDS}
    for phrase in (*CLASSES, *map(plural, CLASSES), *RELATIONS):
        words.update(phrase.split())
    merges = _learn_merges(words)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(f"{c}</w>" for c in letters), *map("".join, merges), START, END]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(dict.fromkeys(tokens))},
        merges=merges,
        model_max_length=MAX_TOKENS,
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=END,
    )


def _learn_merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Byte-pair encoding (Sennrich et al. 2016, algorithm 1) until every word is one token.

    Ties go to the alphabetically last pair. The tokenizers library's trainer breaks ties another
    way in every process, which permutes the ids of words.
    """
    spelled = [[*word[:-1], f"{word[-1]}</w>"] for word in sorted(words)]
    merges = []
    while pairs := Counter(pair for symbols in spelled for pair in pairwise(symbols)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spelled = [_merge(symbols, best) for symbols in spelled]
    return merges


def _merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def deepened(encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The same function of tokens with `LAYERS` layers: those it lacked add nothing at first."""
    deep = new_text_encoder(tokenizer)
    deep.load_state_dict(encoder.state_dict(), strict=False)
    for layer in deep.encoder.layers[encoder.config.num_hidden_layers :]:
        for last in (layer.self_attn.out_proj, layer.mlp.fc2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
    return deep

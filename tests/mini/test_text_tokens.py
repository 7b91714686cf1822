"""mini-sd's tokenizer: a token a word, and no text without tokens."""

import torch
from transformers import CLIPTextModel

from sipo.feedback.prompts.mini_prompts import mini_suite
from sipo.mini.train.text_encoder import (
    LAYERS,
    MAX_TOKENS,
    deepened,
    new_text_encoder,
    new_tokenizer,
)

GOLDEN = [635, 637, 590, 618, 611, 578]


def test_every_word_of_the_world_is_one_token() -> None:
    tokenizer = new_tokenizer()
    for prompt in mini_suite():
        tokens = tokenizer.tokenize(prompt.text)
        assert len(tokens) == len(prompt.text.split()), tokens
        assert len(tokens) + 2 <= MAX_TOKENS


def test_unknown_words_and_no_words_are_tokens_too() -> None:
    tokenizer = new_tokenizer()
    assert "".join(tokenizer.tokenize("Zebra!")).replace("</w>", "") == "zebra!"
    for text in ("", "ünïcödé 🐈 and more"):
        ids = tokenizer(text, padding="max_length", truncation=True, return_tensors="pt").input_ids
        hidden = new_text_encoder(tokenizer)(ids).last_hidden_state
        assert hidden.shape == (1, MAX_TOKENS, 128)
        assert hidden.isfinite().all()


def test_ids_are_those_the_weights_were_trained_with() -> None:
    """The same in every process; a permuted vocabulary would garble every prompt."""
    ids = new_tokenizer().convert_tokens_to_ids
    words = ("cat", "car", "red", "green", "left", "two")
    assert [ids(f"{w}</w>") for w in words] == GOLDEN


def test_a_deepened_encoder_is_the_same_function_at_first() -> None:
    tokenizer = new_tokenizer()
    config = new_text_encoder(tokenizer).config
    config.num_hidden_layers = 2
    shallow = CLIPTextModel(config).eval()
    deep = deepened(shallow, tokenizer).eval()
    assert len(deep.encoder.layers) == LAYERS
    ids = tokenizer("a photo of a cat", padding="max_length", return_tensors="pt").input_ids
    torch.testing.assert_close(deep(ids).last_hidden_state, shallow(ids).last_hidden_state)

"""Preference scorers: their exact forms against evaluations that share no code with them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from test_embedded_judges import Touch
from tiny_judges import (
    SIDE_PX,
    head_tensors,
    image_reward_tensors,
    open_clip_tensors,
    tiny_bert_tokenizer,
    tiny_clip,
    tiny_clip_processor,
)
from torch import Tensor
from transformers import CLIPModel

from sipo.feedback.judge import Judge
from sipo.feedback.prompts import grammar
from sipo.feedback.registry import load_judge
from sipo.feedback.scorers.base import LinearHead, LinearScale, SigmoidScale
from sipo.feedback.scorers.clip import MEAN, STD, load_processor
from sipo.feedback.scorers.hps import padded_pixels

PROMPTS = (grammar.single_object("cat"), grammar.colors("dog", "red"))


def images() -> list[Image.Image]:
    noise = np.random.default_rng(0)
    return [
        Image.fromarray(noise.integers(0, 256, (*shape, 3), np.uint8))
        for shape in ((SIDE_PX, SIDE_PX), (40, 64))
    ]


def raws(judge: Judge) -> list[float]:
    verdicts = judge.judge(images(), PROMPTS)
    assert not any(verdict.failed for verdict in verdicts), verdicts[0].failure
    return [verdict.evidence["raw"] for verdict in verdicts]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("tiny") / "clip")


def test_pickscore_is_the_scaled_cosine(clip_folder: Path) -> None:
    judge = load_judge("pickscore", clip_folder, ())
    model = CLIPModel.from_pretrained(clip_folder).eval()
    tokenizer, processor = load_processor(clip_folder)
    for image, prompt, raw in zip(images(), PROMPTS, raws(judge), strict=True):
        with torch.no_grad():
            output = model(  # transformers' own logits, one pair at a time
                **tokenizer(prompt.text, return_tensors="pt"),
                **processor(images=image, return_tensors="pt"),
            )
        assert raw == pytest.approx(float(output.logits_per_image), abs=1e-4)


def test_a_scorer_s_verdict(clip_folder: Path) -> None:
    settings = {"pickscore": {"center": 0.5}}
    judge = load_judge("pickscore", clip_folder, (), settings)
    for verdict in judge.judge(images(), PROMPTS):
        raw = verdict.evidence["raw"]
        assert verdict.score == pytest.approx(1 / (1 + math.exp(0.5 - raw)))
        assert verdict.correct == (raw >= 0.5)
        assert verdict.correct == (verdict.reason == "")
        assert verdict.judge["scale"] == {"rule": "Preferred", "center": 0.5, "slope": 1.0}


def test_one_bad_image_fails_alone(clip_folder: Path) -> None:
    judge = load_judge("pickscore", clip_folder, ())
    first, failed, last = judge.judge(
        [images()[0], Image.new("RGB", (0, 0)), images()[0]], [PROMPTS[0]] * 3
    )
    assert failed.failed
    assert failed.score is None
    assert first.evidence["raw"] == pytest.approx(last.evidence["raw"])


def test_scales() -> None:
    preferred, rating = SigmoidScale(21.0, 1.0), LinearScale(5.5, 1.0, 10.0)
    assert preferred.unit(21.0) == 0.5
    assert preferred.unit(22.0) == pytest.approx(0.7310586)
    assert 0 <= preferred.unit(-1e9) < preferred.unit(1e9) <= 1
    assert [rating.unit(x) for x in (0.0, 1.0, 5.5, 10.0, 11.0)] == [0, 0, 0.5, 1, 1]


def test_hps_is_the_cosine_of_open_clip_s_network(tmp_path: Path) -> None:
    tensors = open_clip_tensors()
    torch.save({"state_dict": {n: t.half() for n, t in tensors.items()}}, tmp_path / "hps.pt")
    processor = tiny_clip_processor(tmp_path / "processor")
    found = {}
    for name in ("hpsv2", "hpsv2.1"):
        judge = load_judge(name, tmp_path / "hps.pt", (), {name: {"processor": str(processor)}})
        found[name] = raws(judge)
    assert found["hpsv2"] == found["hpsv2.1"]  # the form is one, the weights differ
    halved = {n: t.half().float() for n, t in tensors.items()}
    tokenizer, _ = load_processor(processor)
    for image, prompt, raw in zip(images(), PROMPTS, found["hpsv2"], strict=True):
        tokens = torch.tensor(tokenizer(prompt.text)["input_ids"])
        seen, read = see(padded_pixels(image, SIDE_PX), halved), understand(tokens, halved)
        assert raw == pytest.approx(float(F.cosine_similarity(seen, read, dim=0)), abs=2e-5)


def test_hps_pads_with_black_around_the_whole_image() -> None:
    pixels = padded_pixels(Image.new("RGB", (64, 32), "white"), 32)
    rgb = pixels * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    assert torch.allclose(rgb[:, 8:24], torch.ones(3, 16, 32), atol=1e-6)
    assert rgb[:, :8].abs().max() < 1e-6
    assert rgb[:, 24:].abs().max() < 1e-6


def test_image_reward_is_blip_and_a_linear_head(tmp_path: Path) -> None:
    tensors = image_reward_tensors()
    torch.save(tensors, tmp_path / "ImageReward.pt")
    tokenizer = tiny_bert_tokenizer(tmp_path / "bert")
    settings = {"image-reward": {"tokenizer": str(tokenizer)}}
    judge = load_judge("image-reward", tmp_path / "ImageReward.pt", (), settings)
    words = {c: i for i, c in enumerate("abcdefghijklmnopqrstuvwxyz")}
    for image, prompt, raw in zip(images(), PROMPTS, raws(judge), strict=True):
        tokens = [2]  # [CLS], letters, [SEP], padding to 35
        for word in prompt.text.split():
            tokens += [5 + words[word[0]], *(31 + words[c] for c in word[1:])]
        tokens = [*tokens[:34], 3]
        expected = reward(center_pixels(image), tokens + [0] * (35 - len(tokens)), tensors)
        assert raw == pytest.approx((expected - 0.16717362830052426) / 1.0333394966054072, abs=5e-5)


def test_aesthetic_is_a_linear_head_on_the_unit_embedding(
    clip_folder: Path, tmp_path: Path
) -> None:
    tensors = head_tensors(16)
    torch.save(tensors, tmp_path / "head.pth")
    settings = {"aesthetic": {"clip": str(clip_folder)}}
    judge = load_judge("aesthetic", tmp_path / "head.pth", (), settings)
    model = CLIPModel.from_pretrained(clip_folder).eval()
    for image, raw in zip(images(), raws(judge), strict=True):
        with torch.no_grad():
            inside = model.vision_model(center_pixels(image)[None]).pooler_output[0]
        seen = (model.visual_projection.weight @ inside).detach().double()
        row = (seen / seen.norm()).numpy()
        for number in (0, 2, 4, 6, 7):
            weight, bias = (tensors[f"layers.{number}.{k}"].double() for k in ("weight", "bias"))
            row = weight.numpy() @ row + bias.numpy()
        assert raw == pytest.approx(float(row[0]), abs=1e-4)


def test_the_head_has_the_published_names() -> None:
    head = LinearHead(768)
    head.load_state_dict(head_tensors(768))
    assert sum(p.numel() for p in head.parameters()) == 768 * 1024 + 1024 + 1024 * 128 + 128 + (
        128 * 64 + 64 + 64 * 16 + 16 + 16 + 1
    )


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'nobody/nothing' is not in the hub's cache .*HF_HUB"):
        load_judge("pickscore", "nobody/nothing", ())
    with pytest.raises(ValueError, match=r"no weights of its own; give .* sac\+logos\+ava1-l14-l"):
        load_judge("aesthetic", None, ())
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="are no open_clip ViT"):
        load_judge("hpsv2", tmp_path / "other.pt", ())
    with pytest.raises(ValueError, match="are no ImageReward"):
        load_judge("image-reward", tmp_path / "other.pt", ())


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_folder_is_named(name: str, clip_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip_folder, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(ValueError, match=rf"judge weights.*clip/{name}' is .*; get it again"):
        load_judge("pickscore", folder, ())


def test_no_pickle_is_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Touch(tmp_path / "ran")}, tmp_path / "evil.pt")
    for name in ("hpsv2", "image-reward"):
        with pytest.raises(ValueError, match="are not plain tensors"):
            load_judge(name, tmp_path / "evil.pt", ())
    assert not (tmp_path / "ran").exists()


def test_openai_s_clip_with_the_exact_gelu_is_refused(tmp_path: Path) -> None:
    folder = tiny_clip(tmp_path / "gelu", activation="gelu")
    torch.save(head_tensors(16), tmp_path / "head.pth")
    with pytest.raises(ValueError, match=r"hidden_act 'gelu'.*quick_gelu"):
        load_judge("aesthetic", tmp_path / "head.pth", (), {"aesthetic": {"clip": str(folder)}})


# Reference evaluations: ViT, CLIP's text tower and BLIP from their state dicts, one image each.


def center_pixels(image: Image.Image) -> Tensor:
    """(3, S, S): shortest side to S bicubic, the middle cut out, normalised."""
    scale = SIDE_PX / min(image.size)
    small = image.resize([round(s * scale) for s in image.size], Image.Resampling.BICUBIC)
    left, top = ((side - SIDE_PX) // 2 for side in small.size)
    array = np.asarray(small.crop((left, top, left + SIDE_PX, top + SIDE_PX)), np.float32) / 255
    return torch.from_numpy((array - np.float32(MEAN)) / np.float32(STD)).permute(2, 0, 1)


def see(pixels: Tensor, w: Mapping[str, Tensor]) -> Tensor:
    """open_clip's VisionTransformer."""
    patches = F.conv2d(pixels[None], w["visual.conv1.weight"], stride=8).flatten(2)[0].T
    x = torch.cat([w["visual.class_embedding"][None], patches]) + w["visual.positional_embedding"]
    x = norm(x, "visual.ln_pre", w)
    for layer in range(2):
        x = open_clip_block(x, f"visual.transformer.resblocks.{layer}", w, 2, None)
    return norm(x, "visual.ln_post", w)[0] @ w["visual.proj"]


def understand(tokens: Tensor, w: Mapping[str, Tensor]) -> Tensor:
    """open_clip's text tower: causal, read at the last word."""
    x = w["token_embedding.weight"][tokens] + w["positional_embedding"][: len(tokens)]
    causal = torch.full((len(x), len(x)), -torch.inf).triu(1)
    for layer in range(2):
        x = open_clip_block(x, f"transformer.resblocks.{layer}", w, 2, causal)
    return norm(x, "ln_final", w)[int(tokens.argmax())] @ w["text_projection"]


def open_clip_block(
    x: Tensor, name: str, w: Mapping[str, Tensor], heads: int, mask: Tensor | None
) -> Tensor:
    h = norm(x, f"{name}.ln_1", w)
    joint = h @ w[f"{name}.attn.in_proj_weight"].T + w[f"{name}.attn.in_proj_bias"]
    x = x + linear(attend(*joint.chunk(3, -1), heads, mask), f"{name}.attn.out_proj", w)
    h = F.gelu(linear(norm(x, f"{name}.ln_2", w), f"{name}.mlp.c_fc", w))
    return x + linear(h, f"{name}.mlp.c_proj", w)


def reward(pixels: Tensor, tokens: list[int], w: Mapping[str, Tensor]) -> float:
    """BLIP's tower and reader, and the head, before normalisation."""
    eye, reader = "blip.visual_encoder", "blip.text_encoder"
    weight, bias = (w[f"{eye}.patch_embed.proj.{k}"] for k in ("weight", "bias"))
    patches = F.conv2d(pixels[None], weight, bias, stride=8).flatten(2)[0].T
    x = torch.cat([w[f"{eye}.cls_token"][0], patches]) + w[f"{eye}.pos_embed"][0]
    for layer in range(2):
        block = f"{eye}.blocks.{layer}"
        joint = linear(norm(x, f"{block}.norm1", w, 1e-6), f"{block}.attn.qkv", w)
        x = x + linear(attend(*joint.chunk(3, -1), 1, None), f"{block}.attn.proj", w)
        h = F.gelu(linear(norm(x, f"{block}.norm2", w, 1e-6), f"{block}.mlp.fc1", w))
        x = x + linear(h, f"{block}.mlp.fc2", w)
    seen = norm(x, f"{eye}.norm", w, 1e-6)
    places = w[f"{reader}.embeddings.position_embeddings.weight"][: len(tokens)]
    y = w[f"{reader}.embeddings.word_embeddings.weight"][torch.tensor(tokens)] + places
    y = norm(y, f"{reader}.embeddings.LayerNorm", w, 1e-12)
    unpadded = torch.where(torch.tensor(tokens) == 0, -torch.inf, 0.0)[None]
    for layer in range(2):
        block = f"{reader}.encoder.layer.{layer}"
        for kind, mask in (("attention", unpadded), ("crossattention", None)):
            source = y if kind == "attention" else seen
            q = linear(y, f"{block}.{kind}.self.query", w)
            k, v = (linear(source, f"{block}.{kind}.self.{part}", w) for part in ("key", "value"))
            h = linear(attend(q, k, v, 2, mask), f"{block}.{kind}.output.dense", w)
            y = norm(y + h, f"{block}.{kind}.output.LayerNorm", w, 1e-12)
        h = F.gelu(linear(y, f"{block}.intermediate.dense", w))
        h = linear(h, f"{block}.output.dense", w)
        y = norm(y + h, f"{block}.output.LayerNorm", w, 1e-12)
    row = y[0]
    for number in (0, 2, 4, 6, 7):
        row = linear(row, f"mlp.layers.{number}", w)
    return float(row)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """(n, width), (m, width) twice -> (n, width)."""
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(0, 1) for part in (q, k, v))
    logits = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    chances = (logits if mask is None else logits + mask).softmax(-1)
    return (chances @ v).transpose(0, 1).flatten(1)


def linear(x: Tensor, name: str, w: Mapping[str, Tensor]) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(x: Tensor, name: str, w: Mapping[str, Tensor], eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)

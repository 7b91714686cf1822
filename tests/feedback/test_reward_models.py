"""HPSv3 and VideoReward: published layouts at tiny size, and scores by code that shares nothing.

There the language model is a plain Qwen2: with the positions 0, 1, 2 ... that is what Qwen2-VL's
is, and what these judges were trained as. Pictures become patches by numpy.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_judges import qwen2_vl_tensors, tiny_qwen2_vl
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, Qwen2Config, Qwen2Model
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

from sipo.common.pictures.picture import Clip
from sipo.feedback.frames import judge_for
from sipo.feedback.prompts.prompt import plain_text
from sipo.feedback.registry import load_judge
from sipo.feedback.rule.verdict import Verdict
from sipo.feedback.scorers import even_frames, hpsv3, official_question, video_align

RANDOM = np.random.default_rng(0)
MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])
ADDED = {1: ("<|Reward|>",), 3: ("<|VQ_reward|>", "<|MQ_reward|>", "<|TA_reward|>")}
QUESTIONS = Path(video_align.__file__).parent / "questions"
NORM = {"VQ": (3.6757, 2.2476), "MQ": (1.1646, 1.3811), "TA": (2.8105, 2.5121)}
ALPHA, RANK = 128, 2
SMALL = 4 * 28**2


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 256, (height, width, 3), np.uint8))


def clip(length: int, width: int = 40, height: int = 64, fps: float = 8.0) -> Clip:
    return Clip(b"", tuple(noise(width, height) for _ in range(length)), fps)


IMAGES = [noise(64, 40), noise(30, 90)]
PROMPTS = [plain_text("a {text_prompt} cat"), plain_text("two red dogs in the rain")]


@pytest.fixture(scope="module", autouse=True)
def _small() -> Any:
    """Pictures of four tokens, for the time of it; the real sizes are asked for below."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hpsv3, "PIXELS", SMALL)
        patch.setattr(even_frames, "LEAST_PIXELS", SMALL)
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2_vl(tmp_path_factory.mktemp("tiny") / "qwen2-vl")


@pytest.fixture(scope="module")
def hps(base: Path) -> Path:
    torch.manual_seed(1)
    tensors = qwen2_vl_tensors(base, 1, hpsv3.make_head(32).state_dict())
    save_file(tensors, base.parent / "HPSv3.safetensors")
    return base.parent / "HPSv3.safetensors"


@pytest.fixture(scope="module")
def video(base: Path) -> Path:
    """As PEFT's state dict: each linear layer of the language model has its LoRA beside it."""
    tensors = qwen2_vl_tensors(base, 3, {"weight": 0.3 * torch.randn(1, 32)})
    written = {}
    for name, tensor in tensors.items():
        stem, dot, _ = name.rpartition(".weight")
        if dot and stem.startswith("model.layers") and stem.endswith("_proj"):
            rows, columns = tensor.shape
            written[f"base_model.model.{stem}.base_layer.weight"] = tensor
            written[f"base_model.model.{stem}.lora_A.default.weight"] = torch.randn(RANK, columns)
            b = 0.002 * torch.randn(rows, RANK)
            written[f"base_model.model.{stem}.lora_B.default.weight"] = b
        else:
            name = name.replace("_proj.bias", "_proj.base_layer.bias")
            written[f"base_model.model.{name}"] = tensor
    file = base.parent / "checkpoint-1" / "model.pth"
    file.parent.mkdir()
    torch.save(written, file)
    write_config(base.parent)
    return file


def write_config(folder: Path, **data: Any) -> None:
    asked = {"eval_dim": ["VQ", "MQ", "TA"], "prompt_template_type": "detailed_special"}
    asked |= {"sample_type": "uniform", "fps": 2, "max_frame_pixels": 2 * SMALL, "num_frames": None}
    norm = {f"{d}_mean": mean for d, (mean, _) in NORM.items()}
    norm |= {f"{d}_std": std for d, (_, std) in NORM.items()}
    value = {
        "data_config": asked | data,
        "model_config": {"use_special_tokens": True, "output_dim": 1, "reward_token": "special"},
        "peft_lora_config": {"lora_alpha": ALPHA, "lora_r": RANK, "use_rslora": False},
        "inference_config": norm,
    }
    (folder / "model_config.json").write_text(json.dumps(value), encoding="utf-8")


def hidden_states(
    base: Path, tensors: dict[str, Tensor], question: str, frames: list[Image.Image], kind: str
) -> tuple[list[int], Tensor]:
    """(words, their last states) of one question about one picture, unpadded."""
    config = AutoConfig.from_pretrained(base)
    vision = Qwen2VisionTransformerPretrainedModel(config.vision_config)
    vision.load_state_dict({n[7:]: t for n, t in tensors.items() if n.startswith("visual.")})
    text = config.text_config
    reader = Qwen2Model(
        Qwen2Config(
            vocab_size=len(tensors["model.embed_tokens.weight"]),
            hidden_size=text.hidden_size,
            intermediate_size=text.intermediate_size,
            num_hidden_layers=text.num_hidden_layers,
            num_attention_heads=text.num_attention_heads,
            num_key_value_heads=text.num_key_value_heads,
            rms_norm_eps=text.rms_norm_eps,
            max_position_embeddings=text.max_position_embeddings,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        )
    )
    reader.load_state_dict({n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
    patches, grid = patched(frames)
    pads = f"<|{kind}_pad|>" * (grid[0] * grid[1] * grid[2] // 4)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(list(ADDED[3 if kind == "video" else 1]), special_tokens=True)
    asked = f"<|im_start|>user\n<|vision_start|>{pads}<|vision_end|>{question}<|im_end|>\n"
    words = tokenizer(asked + "<|im_start|>assistant\n", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        seen = vision.eval()(patches, grid_thw=torch.tensor([grid])).pooler_output
        embedded = reader.embed_tokens(words)
        embedded[words == tokenizer.convert_tokens_to_ids(f"<|{kind}_pad|>")] = seen
        states = reader.eval()(inputs_embeds=embedded).last_hidden_state[0]
    return [tokenizer.convert_ids_to_tokens(one) for one in words[0].tolist()], states


def patched(frames: list[Image.Image]) -> tuple[Tensor, list[int]]:
    """Patches of 2 x 14 x 14 in blocks of 2 x 2, as Qwen2-VL's paper has them; an image is twice a
    frame."""
    pixels = np.stack([(np.asarray(frame) / 255 - MEAN) / STD for frame in frames])
    if len(pixels) == 1:
        pixels = np.repeat(pixels, 2, 0)
    t, h, w = len(pixels) // 2, pixels.shape[1] // 14, pixels.shape[2] // 14
    rows = [
        pixels[2 * k : 2 * k + 2, 14 * y : 14 * y + 14, 14 * x : 14 * x + 14].transpose(3, 0, 1, 2)
        for k in range(t)
        for top in range(0, h, 2)
        for left in range(0, w, 2)
        for y in (top, top + 1)
        for x in (left, left + 1)
    ]
    return torch.from_numpy(np.stack(rows).reshape(len(rows), -1)).float(), [t, h, w]


def resized(image: Image.Image) -> Image.Image:
    width, height = image.size
    grow = (SMALL / (width * height)) ** 0.5
    size = tuple(int(np.ceil(side * grow / 28)) * 28 for side in (width, height))
    return image.resize(size, Image.Resampling.BICUBIC)


def judged(judge: Any, pictures: Any, prompts: Any = PROMPTS) -> list[Verdict]:
    verdicts: list[Verdict] = judge.judge(pictures, prompts)
    return verdicts


def test_hpsv3_is_the_head_of_its_token(base: Path, hps: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(hps)
    judge = load_judge("hpsv3", hps, (), {"hpsv3": {"base": str(base), "dtype": "float32"}})
    question = (QUESTIONS / "hpsv3.txt").read_text(encoding="utf-8")
    for image, prompt, verdict in zip(IMAGES, PROMPTS, judged(judge, IMAGES), strict=True):
        asked = question.replace("{text_prompt}", prompt.text)
        words, states = hidden_states(base, tensors, asked, [resized(image)], "image")
        x = states[words.index("<|Reward|>")]
        for number in (0, 3, 5):
            if number:
                x = x.relu()
            x = tensors[f"rm_head.{number}.weight"] @ x + tensors[f"rm_head.{number}.bias"]
        assert verdict.evidence["raw"] == pytest.approx(float(x[0]), abs=1e-5)
        assert verdict.evidence["sigma"] == pytest.approx(float(x[1].exp()), rel=1e-4)
    a, b = judged(judge, IMAGES)
    assert abs(a.evidence["raw"] - b.evidence["raw"]) > 1e-3


def test_videoalign_is_three_heads_of_a_merged_lora(base: Path, video: Path) -> None:
    plain = {n.removeprefix("base_model.model."): t for n, t in torch.load(video).items()}
    tensors = {n.replace(".base_layer", ""): t for n, t in plain.items() if "lora_" not in n}
    for name in [name for name in plain if ".lora_A." in name]:
        stem = name.partition(".lora_A")[0]
        a, b = plain[name], plain[name.replace("lora_A", "lora_B")]
        tensors[f"{stem}.weight"] = tensors[f"{stem}.weight"] + ALPHA / RANK * (b @ a)
    settings = {"videoalign": {"base": str(base), "dtype": "float32", "mq": 0.5}}
    judge = load_judge("videoalign", video, (), settings)
    shown = clip(17, width=56, height=112)  # of a size that stays: 5 places, of which 4
    (verdict,) = judged(judge, [shown], PROMPTS[1:])
    question = (QUESTIONS / "videoalign.txt").read_text(encoding="utf-8")
    asked = question.replace("{text_prompt}", PROMPTS[1].text)
    frames = [shown.frames[place] for place in (0, 5, 11, 16)]
    words, states = hidden_states(base, tensors, asked, frames, "video")
    heads = {d: states[words.index(f"<|{d}_reward|>")] @ tensors["rm_head.weight"][0] for d in NORM}
    scores = {d: (float(heads[d]) - mean) / std for d, (mean, std) in NORM.items()}
    assert verdict.evidence["heads"] == pytest.approx(
        {d: float(x) for d, x in heads.items()}, abs=1e-5
    )
    assert verdict.evidence["parts"] == pytest.approx(scores, abs=1e-5)
    overall = scores["VQ"] + 0.5 * scores["MQ"] + scores["TA"]
    assert verdict.evidence["raw"] == pytest.approx(overall, abs=1e-5)


def test_no_clip_and_no_image_sees_what_is_judged_beside_it(
    base: Path, hps: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of unequal length, size and prompt, so that padding would show; short questions, for time."""
    heads = "".join(ADDED[3])
    short = {"hpsv3": "{text_prompt} <|Reward|>.", "videoalign": "{text_prompt}" + heads}
    monkeypatch.setattr(official_question, "question_text", short.__getitem__)
    clips = [clip(17), clip(40, 64, 40), clip(8)]
    prompts = [*PROMPTS, plain_text("rain")]
    more = {"base": str(base), "dtype": "float32"}
    of_clips = load_judge("videoalign", video, (), {"videoalign": more})
    of_images = load_judge("hpsv3", hps, (), {"hpsv3": more})
    for judge, pictures in ((of_clips, clips), (of_images, [*IMAGES, noise(50, 50)])):
        together = [one.evidence["raw"] for one in judged(judge, pictures, prompts)]
        alone = [
            judged(judge, [picture], [prompt])[0].evidence["raw"]
            for picture, prompt in zip(pictures, prompts, strict=True)
        ]
        assert together == pytest.approx(alone, abs=1e-5)
        assert len({round(raw, 3) for raw in alone}) == 3
        backwards = judged(judge, pictures[::-1], prompts[::-1])
        assert [one.evidence["raw"] for one in backwards] == pytest.approx(alone[::-1], abs=1e-5)


def test_what_is_asked_is_what_they_were_trained_with() -> None:
    """Byte for byte, spaces at the ends of lines too: sha256 of the published constants."""
    known = {"hpsv3": "f6ee57479d4e9eee", "videoalign": "fdb6309bac618dd0"}
    for name, digest in known.items():
        data = (QUESTIONS / f"{name}.txt").read_bytes()
        assert hashlib.sha256(data).hexdigest().startswith(digest), name


@pytest.mark.parametrize(
    ("length", "fps", "places"),
    [
        (17, 24.0, [0, 5, 11, 16]),
        (81, 16.0, [0, 9, 18, 27, 36, 44, 53, 62, 71, 80]),
        (3, 8.0, [0, 2]),
    ],
)
def test_places_of_frames(length: int, fps: float, places: list[int]) -> None:
    assert even_frames.places_of(length, fps, 2.0) == places


def test_a_prompt_with_a_token_of_the_judges_is_a_failure_of_its_own(base: Path, hps: Path) -> None:
    judge = load_judge("hpsv3", hps, (), {"hpsv3": {"base": str(base)}})
    prompts = [PROMPTS[0], plain_text("a cat <|Reward|>"), plain_text("<|image_pad|>")]
    fine, *wrong = judged(judge, [*IMAGES, IMAGES[0]], prompts)
    assert not fine.failed
    for verdict, token in zip(wrong, ("<|Reward|>", "<|image_pad|>"), strict=True):
        assert f"the prompt holds '{token}'" in str(verdict.failure)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("visual.merger.ln_q.bias"), "missing: visual.merger.ln_q.bias"),
        (lambda t: t.pop("model.layers.1.mlp.up_proj.weight"), "missing: language_model.layers.1"),
        (lambda t: t.pop("rm_head.3.bias"), "3.bias"),
        (lambda t: t.update({"model.extra.weight": torch.ones(1)}), "unexpected: .*extra"),
        (lambda t: t.update({"model.norm.weight": torch.ones(7)}), "do not fit"),
        (lambda t: t.update({"model.embed_tokens.weight": torch.ones(9, 32)}), "have 9 words"),
        (lambda t: t.update({"model.layers.0.mlp.up_proj.lora_A.weight": torch.ones(1)}), "lora_A"),
    ],
)
def test_a_file_that_does_not_match_whole_is_refused(
    base: Path, hps: Path, tmp_path: Path, change: Any, says: str
) -> None:
    from safetensors.torch import load_file

    tensors = load_file(hps)
    change(tensors)
    save_file(tensors, tmp_path / "HPSv3.safetensors")
    with pytest.raises(ValueError, match=rf"judge weights '.*HPSv3.safetensors' .*{says}"):
        load_judge("hpsv3", tmp_path / "HPSv3.safetensors", (), {"hpsv3": {"base": str(base)}})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"prompt_template_type": "detailed"}, "has prompt_template_type 'detailed', and this"),
        ({"num_frames": 8}, "has num_frames 8"),
        ({"fps": 0}, "0 is no positive number"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    base: Path, video: Path, tmp_path: Path, data: dict[str, Any], says: str
) -> None:
    (tmp_path / "model.pth").write_bytes(video.read_bytes())
    settings = {"videoalign": {"base": str(base)}}
    with pytest.raises(ValueError, match=r"have no model_config.json beside them"):
        load_judge("videoalign", tmp_path / "model.pth", (), settings)
    write_config(tmp_path, **data)
    with pytest.raises(ValueError, match=says):
        load_judge("videoalign", tmp_path / "model.pth", (), settings)


def test_half_a_lora_is_refused(base: Path, video: Path, tmp_path: Path) -> None:
    tensors = torch.load(video)
    tensors.pop(next(name for name in tensors if "lora_B" in name))
    torch.save(tensors, tmp_path / "model.pth")
    write_config(tmp_path)
    with pytest.raises(ValueError, match=r"have half a LoRA of 'model\.layers\.0"):
        load_judge("videoalign", tmp_path / "model.pth", (), {"videoalign": {"base": str(base)}})


def test_a_judge_of_clips_is_handed_them_whole(base: Path, video: Path) -> None:
    judge = load_judge("videoalign", video, (), {"videoalign": {"base": str(base)}})
    assert judge_for(judge, clips=True) is judge
    with pytest.raises(ValueError, match="judge 'videoalign' looks at clips, whole, and here are"):
        judge_for(judge, clips=False)
    settings = {"videoalign": {"base": str(base)}}
    with pytest.raises(ValueError, match=r"'videoalign' looks at clips, whole, and the others"):
        load_judge(f"fake,videoalign={video}", None, (), settings)
    fine, empty = judged(judge, [clip(8), Clip(b"", (), 8.0)])
    assert not fine.failed
    assert empty.failure == "ValueError: the clip has no frames"
    (image,) = judged(judge, [IMAGES[0]], PROMPTS[:1])
    assert "an image has no motion" in str(image.failure)

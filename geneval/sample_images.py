"""From prompts to images on disk, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.fitting import sample_fitting
from sipo.backbones.seeds import image_seed
from sipo.common.cpu_workers import spread
from sipo.common.pictures.picture import Picture, as_kept
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.layout import image_name, save_image, write_prompt_folders


def sample_images(
    backbone: Backbone,
    sampler: Sampler,
    prompts: Sequence[Prompt],
    per_prompt: int,
    seed: int,
    batch_size: int,
    out: Path,
    workers: int = 1,
) -> None:
    """Write the images, or clips, that are missing under `out`.

    A batch that was cut short is sampled whole, so that its arithmetic is the same as before where
    the batch size is, and only its missing images are written.
    """
    write_prompt_folders(out, prompts)
    suffix = ".png" if backbone.fps is None else ".mp4"
    jobs = [(number, index) for number in range(len(prompts)) for index in range(per_prompt)]
    missing = {job for job in jobs if not (out / image_name(*job, suffix)).exists()}
    batches = [jobs[start : start + batch_size] for start in range(0, len(jobs), batch_size)]
    due = [batch for batch in batches if not missing.isdisjoint(batch)]
    done = len(jobs) - sum(map(len, due))

    def make(batch: list[tuple[int, int]]) -> list[Picture]:
        texts = [prompts[number].text for number, _ in batch]
        seeds = [image_seed(seed, prompts[number].text, index) for number, index in batch]
        samples = sample_fitting(backbone, texts, seeds, sampler)
        return [as_kept(sample.image, sample.frames, backbone.fps) for sample in samples]

    with (
        spread(make, workers) as made,
        tqdm(total=len(jobs), initial=done, desc="Sampling", unit="img") as bar,
    ):
        for batch, pictures in zip(due, made(due), strict=True):
            for job, picture in zip(batch, pictures, strict=True):
                if job in missing:
                    save_image(picture, out / image_name(*job, suffix))
            bar.update(len(batch))

"""From prompts to images on disk, in batches that are a function of the command alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.seeds import image_seed
from sipo.common.cpu_workers import spread
from sipo.common.pictures.picture import Picture, as_kept, to_bytes
from sipo.common.threads import ENCODERS, beside
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.layout import image_name, save_file, write_prompt_folders

Place = tuple[int, int]
"""The prompt's number, and which of its images."""


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

    With one worker, as on a card, the next batch is sampled while one is encoded and written.
    A batch that was cut short is sampled whole, so that its arithmetic is the same as before, and
    only its missing images are written.
    """
    write_prompt_folders(out, prompts)
    suffix = ".png" if backbone.fps is None else ".mp4"
    jobs = [(number, index) for number in range(len(prompts)) for index in range(per_prompt)]
    missing = {job for job in jobs if not (out / image_name(*job, suffix)).exists()}
    batches = [jobs[start : start + batch_size] for start in range(0, len(jobs), batch_size)]
    due = [batch for batch in batches if not missing.isdisjoint(batch)]
    done = len(jobs) - sum(map(len, due))

    def sample(batch: list[Place]) -> list[Picture]:
        texts = [prompts[number].text for number, _ in batch]
        seeds = [image_seed(seed, prompts[number].text, index) for number, index in batch]
        samples = backbone.sample(texts, seeds, sampler)
        return [as_kept(sample.image, sample.frames, backbone.fps) for sample in samples]

    def make(batch: list[Place]) -> list[bytes]:
        return [to_bytes(picture) for picture in sample(batch)]

    with tqdm(total=len(jobs), initial=done, desc="Sampling", unit="img") as bar:

        def write(made: Iterable[tuple[list[Place], Iterable[bytes]]]) -> None:
            for batch, files in made:
                for job, data in zip(batch, files, strict=True):
                    if job in missing:
                        save_file(data, out / image_name(*job, suffix))
                bar.update(len(batch))

        def encode_and_write(sampled: Iterator[tuple[list[Place], list[Picture]]]) -> None:
            with ThreadPoolExecutor(ENCODERS, "encode") as pool:
                write((batch, pool.map(to_bytes, pictures)) for batch, pictures in sampled)

        if workers > 1:
            with spread(make, workers) as made:
                write(zip(due, made(due), strict=True))
        else:
            with beside(encode_and_write) as to_write:
                for batch in due:
                    to_write((batch, sample(batch)))

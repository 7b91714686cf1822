"""From prompts to images on disk, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.fitting import sample_fitting
from sipo.backbones.seeds import image_seed
from sipo.common.bars import bar
from sipo.common.cpu_workers import spread
from sipo.common.files.leases import Leases
from sipo.common.pictures.picture import Picture, as_kept, to_bytes
from sipo.common.shared_work import Shared
from sipo.common.threads import ENCODERS, beside
from sipo.feedback.prompts.prompt import Prompt, pictures_of
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
    leases: Leases,
    workers: int = 1,
) -> None:
    """Write the images, or clips, that are missing under `out`; returns when all are there, whoever
    made them: batches are shared out by `leases`.

    With one worker, as on a card, the next batch is sampled while one is encoded and written.
    A batch that was cut short is sampled whole, so that its arithmetic is the same as before where
    the batch size is, and only its missing images are written.
    """
    write_prompt_folders(out, prompts)
    suffix = ".png" if backbone.fps is None else ".mp4"
    jobs = [(number, index) for number in range(len(prompts)) for index in range(per_prompt)]
    batches = [jobs[start : start + batch_size] for start in range(0, len(jobs), batch_size)]

    def missing(number: int) -> list[Place]:
        return [job for job in batches[number] if not (out / image_name(*job, suffix)).exists()]

    work = Shared(range(len(batches)), lambda number: not missing(number), leases, "batch")

    def sample(batch: list[Place]) -> list[Picture]:
        asked = [prompts[number] for number, _ in batch]
        texts = [prompt.text for prompt in asked]
        seeds = [image_seed(seed, prompts[number].key, index) for number, index in batch]
        samples = sample_fitting(backbone, texts, seeds, sampler, pictures_of(asked))
        return [as_kept(sample.image, sample.frames, backbone.fps) for sample in samples]

    def make(number: int) -> tuple[int, list[bytes]]:
        return number, [to_bytes(picture) for picture in sample(batches[number])]

    left = sum(len(batches[number]) for number in work.left)
    with bar(len(jobs), "Sampling", "img", done=len(jobs) - left) as shown:

        def write(made: Iterable[tuple[int, Iterable[bytes]]]) -> None:
            for number, files in made:
                due = missing(number)
                for job, data in zip(batches[number], files, strict=True):
                    if job in due:
                        save_file(data, out / image_name(*job, suffix))
                work.made(number)
                shown.update(len(batches[number]))

        def encode_and_write(sampled: Iterator[tuple[int, list[Picture]]]) -> None:
            with ThreadPoolExecutor(ENCODERS, "encode") as pool:
                write((number, pool.map(to_bytes, pictures)) for number, pictures in sampled)

        def make_all() -> None:
            if workers > 1:
                with spread(make, workers) as made:
                    write(made(work.claimed()))
                return
            with beside(encode_and_write) as to_write:
                for number in work.claimed():
                    to_write((number, sample(batches[number])))

        work.until_done(make_all)

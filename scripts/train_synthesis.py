"""Train the network that draws the proximal-femur map, on a fold's training patients."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import osteoray
from osteoray.config.code_digest import code_digest
from osteoray.config.synthesis import SynthesisConfig
from osteoray.learning.augmentation import Augmentation
from osteoray.learning.discriminator import PatchDiscriminator
from osteoray.learning.generator import Generator
from osteoray.learning.loop import Training, train
from osteoray.learning.normalisation import map_window, xray_window
from osteoray.learning.transfer import pack_generator, unpack_encoder
from osteoray.store.manifest import digest
from osteoray.store.release import read_index, read_rows, select_rows
from osteoray.store.training_run import TrainingRun, read_weights
from osteoray.synthesis.gan import MapGan, Weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", required=True, type=Path, help="index.tsv of the release")
    parser.add_argument("--folds", required=True, type=Path, help="folds of the release")
    parser.add_argument("--fold", required=True, type=int, help="the fold that is held out")
    parser.add_argument("--init", default="", help="encoder.pt of pretraining, or empty for random weights")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--config", required=True, help="synthesis section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="model.pt to write; log.tsv goes beside it")
    args = parser.parse_args()
    config = SynthesisConfig.model_validate_json(args.config)
    index = read_index(args.release)
    training_rows = select_rows(index, args.folds, args.fold, held_out=False)
    # All training X-rays, as in pretraining, so that a pretrained encoder sees the scale it learned.
    xrays = xray_window(read_rows(args.release, "xray", training_rows))
    rows = select_rows(index, args.folds, args.fold, held_out=False, arrays=("proximal_femur",))
    data = {name: read_rows(args.release, name, rows) for name in ("xray", "proximal_femur")}
    maps = map_window(data["proximal_femur"])
    torch.manual_seed(config.seed)
    generator = Generator(args.backbone, config.decoder_width, initial_output=-1.0)
    if args.init:
        unpack_encoder(read_weights(args.init), generator.encoder)
    task = MapGan(
        generator,
        PatchDiscriminator(config.discriminator_width),
        xrays,
        maps,
        Weights(config.weight_l2, config.weight_gc, config.weight_gan),
        Augmentation(**config.augmentation.model_dump()),
    )
    task.to("cuda" if torch.cuda.is_available() else "cpu")
    training = Training(config.epochs, config.batch_size, config.learning_rate, config.weight_decay, config.seed)
    identity = {
        **{name: str(vars(args)[name]) for name in ("fold", "backbone", "config")},
        "init": digest(args.init) if args.init else "",
        "code": code_digest(__file__, Path(osteoray.__path__[0]).parent),
    }
    run = TrainingRun(args.output, identity, data)
    for snapshot in train(task, {k: torch.from_numpy(v) for k, v in data.items()}, training, run.state):
        row = {"epoch": snapshot.epoch, "learning_rate": snapshot.learning_rate, **snapshot.losses}
        run.record(row, snapshot.state)
    run.finish(pack_generator(generator, xrays, maps))


if __name__ == "__main__":
    main()

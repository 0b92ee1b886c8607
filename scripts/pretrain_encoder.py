"""Pretrain an encoder on a fold's training patients."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import osteoray
from osteoray.config.code_digest import code_digest
from osteoray.config.pretraining import PretrainingConfig
from osteoray.learning.augmentation import Augmentation
from osteoray.learning.loop import Training, train
from osteoray.learning.normalisation import xray_window
from osteoray.learning.transfer import pack_encoder, unpack_encoder
from osteoray.pretraining.task import Setting
from osteoray.pretraining.tasks import TASKS
from osteoray.store.manifest import digest
from osteoray.store.release import read_index, read_rows, select_rows
from osteoray.store.training_run import TrainingRun, read_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", required=True, type=Path, help="index.tsv of the release")
    parser.add_argument("--folds", required=True, type=Path, help="folds of the release")
    parser.add_argument("--fold", required=True, type=int, help="the fold that is held out")
    parser.add_argument("--task", required=True, choices=sorted(TASKS))
    parser.add_argument("--init", default="", help="encoder.pt of the task before in a cascade, or empty")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--config", required=True, help="pretraining section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="encoder.pt to write; log.tsv goes beside it")
    args = parser.parse_args()
    config = PretrainingConfig.model_validate_json(args.config)
    index = read_index(args.release)
    training_rows = select_rows(index, args.folds, args.fold, held_out=False)
    window = xray_window(read_rows(args.release, "xray", training_rows))
    Task = TASKS[args.task]
    rows = select_rows(index, args.folds, args.fold, held_out=False, arrays=Task.arrays)
    data = {name: read_rows(args.release, name, rows) for name in Task.arrays}
    torch.manual_seed(config.seed)
    setting = Setting(args.backbone, config.decoder_width, window, Augmentation(**config.augmentation.model_dump()))
    task = Task(setting, data)
    if args.init:
        unpack_encoder(read_weights(args.init), task.generator.encoder)
    task.to("cuda" if torch.cuda.is_available() else "cpu")
    training = Training(
        getattr(config.epochs, args.task), config.batch_size, config.learning_rate, config.weight_decay, config.seed
    )
    identity = {
        **{name: str(vars(args)[name]) for name in ("fold", "task", "backbone", "config")},
        "init": digest(args.init) if args.init else "",
        "code": code_digest(__file__, Path(osteoray.__path__[0]).parent),
    }
    run = TrainingRun(args.output, identity, data)
    for snapshot in train(task, {k: torch.from_numpy(v) for k, v in data.items()}, training, run.state):
        row = {"epoch": snapshot.epoch, "learning_rate": snapshot.learning_rate, **snapshot.losses}
        run.record(row, snapshot.state)
    run.finish(pack_encoder(task.generator.encoder, window))


if __name__ == "__main__":
    main()

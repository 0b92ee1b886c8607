"""The zoo: an encoder learns from the release's own X-rays before it sees the target."""


rule pretrain_encoder:
    message:
        "Pretrain {wildcards.backbone} by {wildcards.task} at {wildcards.size}, fold {wildcards.fold}"
    input:
        release=f"{RESULTS}/laterality/{{release}}/{{size}}/index.tsv",
        folds=f"{RESULTS}/folds/{{release}}.tsv",
        earlier=earlier_encoder,
    output:
        encoder=encoder_of("{task}"),
    log:
        f"{RESULTS}/logs/pretrain_encoder/{{release}}/{{task}}/{{backbone}}/{{size}}/fold{{fold}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/pretrain_encoder/{{release}}/{{task}}/{{backbone}}/{{size}}/fold{{fold}}.tsv"
    threads: training_threads
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=gpus,
    params:
        last=lambda wildcards: wildcards.task.rpartition("_")[2],
        config=section("pretraining"),
        code=code("pretrain_encoder"),
    conda:
        "../../envs/learning.yaml"
    shell:
        'python "$SCRIPTS/pretrain_encoder.py" --release {input.release:q} --folds {input.folds:q}'
        " --fold {wildcards.fold} --task {params.last} --init '{input.earlier}' --backbone {wildcards.backbone}"
        " --config {params.config:q} --output {output.encoder:q} > {log:q} 2>&1"

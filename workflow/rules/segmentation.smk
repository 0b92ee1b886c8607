"""Pelvis, femurs and sacrum in the CT, and the proximal-femur region by geometry."""

# Labels of patients enrolled after the release train nothing.
LABELLED = [patient_id for patient_id in RELEASED if PATIENT[patient_id].bone_labels]


rule train_segmentation:
    message:
        "Train the segmentation network on {params.patients} labelled patients"
    input:
        ingest=manifests("ingest", LABELLED),
        labels=training_labels,
    output:
        model=f"{RESULTS}/segmentation/model.json",
    log:
        f"{RESULTS}/logs/train_segmentation.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_segmentation.tsv"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        patients=len(LABELLED),
        labels=" ".join(below_raw(PATIENT[p].bone_labels) for p in LABELLED),
        config=section("segmentation"),
        code=code("train_segmentation"),
    conda:
        "../../envs/learning.yaml"
    shell:
        'python "$SCRIPTS/train_segmentation.py" --ingest {input.ingest:q} --labels {params.labels}'
        " --config {params.config:q} --output {output.model:q} > {log:q} 2>&1"


rule segment_bones:
    message:
        "Segment the bones of {wildcards.patient}"
    input:
        ingest=MANIFEST["ingest"],
        model=lambda wildcards: (
            [] if PATIENT[wildcards.patient].bone_labels or not LABELLED else rules.train_segmentation.output.model
        ),
        bone_labels=provided("bone_labels"),
        proximal_femur=provided("proximal_femur"),
    output:
        manifest=MANIFEST["segmentation"],
    log:
        f"{RESULTS}/logs/segment_bones/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/segment_bones/{{patient}}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        bone_labels=raw_path("bone_labels"),
        proximal_femur=raw_path("proximal_femur"),
        config=section("segmentation"),
        code=code("segment_bones"),
    conda:
        "../../envs/learning.yaml"
    shell:
        "python \"$SCRIPTS/segment_bones.py\" --ingest {input.ingest:q} --model '{input.model}'"
        " --bone-labels {params.bone_labels} --proximal-femur {params.proximal_femur}"
        " --config {params.config:q} --output {output.manifest:q} > {log:q} 2>&1"

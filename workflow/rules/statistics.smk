"""Agreement, precision and image quality of every experiment, and who was left out and why."""

BMD = [f"{RESULTS}/densitometry/{RELEASE}/{experiment}/bmd.tsv" for experiment in EXPERIMENTS]


rule compute_statistics:
    message:
        "Compute agreement, precision and image quality of every experiment"
    input:
        bmd=BMD,
    output:
        agreement=f"{RESULTS}/statistics/agreement.tsv",
        precision=f"{RESULTS}/statistics/precision.tsv",
        image_quality=f"{RESULTS}/statistics/image_quality.tsv",
        significance=f"{RESULTS}/statistics/significance.tsv",
    log:
        f"{RESULTS}/logs/compute_statistics.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_statistics.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        config=section("statistics"),
        code=code("compute_statistics"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/compute_statistics.py" --bmd {input.bmd:q} --config {params.config:q}'
        " --output-dir $RESULTS/statistics > {log:q} 2>&1"


rule gather_exclusions:
    message:
        "Gather who was left out, at which stage and why"
    input:
        manifests=[path for stage in MANIFEST for path in manifests(stage, PATIENTS)],
        bmd=f"{RESULTS}/densitometry/{RELEASE}/{HANDED_OVER}/bmd.tsv",
    output:
        exclusions=f"{RESULTS}/statistics/exclusions.tsv",
        stages=f"{RESULTS}/statistics/stages.tsv",
    log:
        f"{RESULTS}/logs/gather_exclusions.log",
    benchmark:
        f"{RESULTS}/benchmarks/gather_exclusions.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        problems=json.dumps([vars(problem) for problem in COHORT.problems]),
        code=code("gather_exclusions"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/gather_exclusions.py" --manifests {input.manifests:q} --problems {params.problems:q}'
        " --bmd {input.bmd:q} --exclusions {output.exclusions:q} --stages {output.stages:q} > {log:q} 2>&1"


if VIRTUAL:

    rule score_against_truth:
        message:
            "Score every stage against the truth of the virtual cohort"
        input:
            truth=[f"{VIRTUAL}/truth/{patient}/manifest.json" for patient in PATIENTS],
            qct=f"{RESULTS}/densitometry/qct.tsv",
            regions=f"{RESULTS}/densitometry/regions.tsv",
            projection=manifests("projection", PATIENTS),
            bmd=BMD,
        output:
            table=f"{RESULTS}/statistics/truth.tsv",
        log:
            f"{RESULTS}/logs/score_against_truth.log",
        benchmark:
            f"{RESULTS}/benchmarks/score_against_truth.tsv"
        threads: 1
        resources:
            mem_mb=2000,
        params:
            patients=PATIENTS,
            code=code("score_against_truth"),
        conda:
            "../../envs/imaging.yaml"
        shell:
            'python "$SCRIPTS/score_against_truth.py" --results $RESULTS --truth $RESULTS/virtual/truth'
            " --patients {params.patients}"
            " --bmd {input.bmd:q} --output {output.table:q} > {log:q} 2>&1"

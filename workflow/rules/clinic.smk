"""What is handed over: an index page, one PDF and JSON per patient, a spreadsheet."""


rule build_clinic:
    message:
        "Write the clinic folder with the values of {params.experiment}"
    input:
        bmd=f"{RESULTS}/densitometry/{RELEASE}/{HANDED_OVER}/bmd.tsv",
        predictions=[
            f"{RESULTS}/synthesis/{RELEASE}/{HANDED_OVER}/predictions/{name}.tsv"
            for name in [f"fold{k}" for k in FOLDS] + (["enrolled"] if ENROLLED_LATER else [])
        ],
        halves=halves_of(PATIENTS),
        ingest=manifests("ingest", PATIENTS),
        qct=f"{RESULTS}/densitometry/qct.tsv",
        agreement=f"{RESULTS}/statistics/agreement.tsv",
        precision=f"{RESULTS}/statistics/precision.tsv",
        exclusions=f"{RESULTS}/statistics/exclusions.tsv",
        reference=RESOURCES / "reference_bmd.yaml",
        template=SOURCE / "osteoray" / "clinic" / "templates" / "index.html",
    output:
        index=f"{RESULTS}/clinic/index.html",
    log:
        f"{RESULTS}/logs/build_clinic.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_clinic.tsv"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        experiment=HANDED_OVER,
        patients=people("sex", "age_years"),
        config=clinic_section,
        code=code("build_clinic"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/build_clinic.py" --bmd {input.bmd:q} --predictions {input.predictions:q}'
        " --halves {input.halves:q} --ingest {input.ingest:q} --qct {input.qct:q} --agreement {input.agreement:q}"
        " --precision {input.precision:q} --exclusions {input.exclusions:q} --patients {params.patients:q}"
        " --reference {input.reference:q} --config {params.config:q} --output {output.index:q} > {log:q} 2>&1"

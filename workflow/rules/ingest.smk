"""Foreign DICOM becomes a CT in Hounsfield units and X-rays in log attenuation."""


rule record_source:
    message:
        "Record the raw files of {wildcards.patient}"
    input:
        simulated=f"{VIRTUAL}/truth/{{patient}}/manifest.json" if VIRTUAL else [],
    output:
        source=f"{RESULTS}/ingest/{{patient}}/source.json",
    log:
        f"{RESULTS}/logs/record_source/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/record_source/{{patient}}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        ct=field("ct"),
        xrays=xrays("xray_id", "path"),
        inventory=inventory,
        code=code("record_source"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/record_source.py" --patient {wildcards.patient} --raw "$RAW" --ct {params.ct:q}'
        " --xrays {params.xrays:q} --output {output.source:q} > {log:q} 2>&1"


rule ingest_patient:
    message:
        "Read CT and X-rays of {wildcards.patient}"
    input:
        source=rules.record_source.output.source,
    output:
        manifest=MANIFEST["ingest"],
    log:
        f"{RESULTS}/logs/ingest_patient/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ingest_patient/{{patient}}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        ct=field("ct"),
        xrays=xrays("xray_id", "path", "pose"),
        config=section("ingest"),
        code=code("ingest_patient"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/ingest_patient.py" --patient {wildcards.patient} --raw "$RAW" --ct {params.ct:q}'
        " --xrays {params.xrays:q} --source {input.source:q} --config {params.config:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"

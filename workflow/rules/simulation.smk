"""Virtual patients in place of a hospital's, with the truth of every stage beside them."""

if VIRTUAL:
    VIRTUAL_PATIENT = {patient.patient_id: patient for patient in enrol(CONFIG.cohort.virtual)}

    rule simulate_patient:
        message:
            "Simulate CT and X-rays of {wildcards.patient}"
        input:
            phantom=RESOURCES / "phantoms" / f"{CONFIG.cohort.virtual.ct.phantom}.yaml",
        output:
            manifest=f"{VIRTUAL}/truth/{{patient}}/manifest.json",
        log:
            f"{RESULTS}/logs/simulate_patient/{{patient}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/simulate_patient/{{patient}}.tsv"
        threads: 1
        resources:
            mem_mb=4000,
        params:
            config=virtual_section,
            code=code("simulate_patient"),
        conda:
            "../../envs/imaging.yaml"
        shell:
            'python "$SCRIPTS/simulate_patient.py" --patient {wildcards.patient} --config {params.config:q}'
            ' --raw "$RAW"/{wildcards.patient} --output {output.manifest:q} > {log:q} 2>&1'

    rule scan_water:
        message:
            "Simulate a cylinder of water on scanner {wildcards.scanner}"
        input:
            phantom=RESOURCES / "phantoms" / f"{CONFIG.cohort.virtual.ct.phantom}.yaml",
        output:
            manifest=f"{VIRTUAL}/truth/water/CT{{scanner}}.json",
        log:
            f"{RESULTS}/logs/scan_water/CT{{scanner}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/scan_water/CT{{scanner}}.tsv"
        threads: 1
        resources:
            mem_mb=2000,
        params:
            config=lambda wildcards: CONFIG.cohort.virtual.model_dump_json(include={"seed", "ct"}),
            code=code("scan_water"),
        conda:
            "../../envs/imaging.yaml"
        shell:
            'python "$SCRIPTS/scan_water.py" --scanner {wildcards.scanner} --config {params.config:q}'
            ' --phantom {input.phantom:q} --raw "$RAW"/water/CT{wildcards.scanner} --output {output.manifest:q} > {log:q} 2>&1'

    rule write_cohort_tables:
        message:
            "Write the tables of the virtual cohort as a hospital would"
        input:
            manifests=expand(rules.simulate_patient.output.manifest, patient=VIRTUAL_PATIENT),
        output:
            patients=f"{RAW}/patients.tsv",
            xrays=f"{RAW}/xrays.tsv",
        log:
            f"{RESULTS}/logs/write_cohort_tables.log",
        benchmark:
            f"{RESULTS}/benchmarks/write_cohort_tables.tsv"
        threads: 1
        resources:
            mem_mb=1000,
        params:
            config=section("cohort", "virtual"),
            code=code("write_cohort_tables"),
        conda:
            "../../envs/imaging.yaml"
        shell:
            'python "$SCRIPTS/write_cohort_tables.py" --config {params.config:q}'
            " --manifests {input.manifests:q} --patients {output.patients:q} --xrays {output.xrays:q} > {log:q} 2>&1"

"""Virtual patients in place of a hospital's, with the truth of every stage beside them."""

if VIRTUAL:
    VIRTUAL_PATIENT = {patient.patient_id: patient for patient in enrol(CONFIG.cohort.virtual)}

    def virtual_section(wildcards):
        """The virtual cohort's section without its length: more patients change none."""
        patient = VIRTUAL_PATIENT[wildcards.patient]
        last = patient.index + 1
        update = {"patients": last, "labelled": last if patient.labelled else 0}
        return CONFIG.cohort.virtual.model_copy(update=update).model_dump_json()

    rule simulate_patient:
        message:
            "Simulate CT and X-rays of {wildcards.patient}"
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
            "python {SCRIPTS}/simulate_patient.py --patient {wildcards.patient} --config {params.config:q}"
            " --raw {RAW:q}/{wildcards.patient} --output {output.manifest:q} > {log:q} 2>&1"

    rule write_cohort_tables:
        message:
            "Write the tables of the virtual cohort as a hospital would"
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
            "python {SCRIPTS}/write_cohort_tables.py --config {params.config:q}"
            " --patients {output.patients:q} --xrays {output.xrays:q} > {log:q} 2>&1"

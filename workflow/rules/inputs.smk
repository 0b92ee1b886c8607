"""What rules take in: functions of the wildcards."""


def inventory(wildcards):
    """Number and size of the patient's raw files: a change means that their digests must be taken anew."""
    if VIRTUAL:
        return ""
    patient = PATIENT[wildcards.patient]
    folders = [Path(RAW, patient.ct)]
    files = [Path(RAW, xray.path) for xray in patient.xrays]
    entries = [e for folder in folders for root, _, names in os.walk(folder) for e in (Path(root, n) for n in names)]
    sizes = [path.stat().st_size for path in [*entries, *files] if path.exists()]
    return f"{len(sizes)} files, {sum(sizes)} bytes"


def raw_path(column):
    """A path of the patient's row below the raw folder, quoted for the shell; nothing stays nothing."""

    def quoted(wildcards):
        path = getattr(PATIENT[wildcards.patient], column)
        return shlex.quote(f"{RAW}/{path}" if path else "")

    return quoted


def provided(column):
    """A provided mask as an input, if it is there; one that is missing concerns its patient alone."""

    def existing(wildcards):
        path = getattr(PATIENT[wildcards.patient], column)
        return [f"{RAW}/{path}"] if path and not VIRTUAL and Path(RAW, path).is_file() else []

    return existing


def enrolled_later(path):
    """The prediction for patients outside the release, if there are any."""
    return path if ENROLLED_LATER else []


def encoder_of(task):
    """The encoder that a task ends with."""
    return f"{RESULTS}/pretraining/{{release}}/{task}/{{backbone}}/{{size}}/fold{{fold}}/encoder.pt"


def earlier_encoder(wildcards):
    """What a cascade starts from: mp_bd trains bd from mp's encoder."""
    earlier, _, _ = wildcards.task.rpartition("_")
    return encoder_of(earlier).format(**wildcards) if earlier else []


def initial_encoder(wildcards):
    """The pretrained encoder; task none starts from random weights."""
    return [] if wildcards.task == "none" else encoder_of(wildcards.task).format(**wildcards)


def virtual_section(wildcards):
    """The virtual cohort's section without its length: more patients change none."""
    patient = VIRTUAL_PATIENT[wildcards.patient]
    last = patient.index + 1
    update = {"patients": last, "labelled": last if patient.labelled else 0}
    return CONFIG.cohort.virtual.model_copy(update=update).model_dump_json()


def clinic_section(wildcards):
    """The clinic section; a report always says whom the model has learned from."""
    virtual = "Virtual patients (simulated anatomy, CT and X-rays); no human data."
    release = f"The first {len(RELEASED)} usable patients of this cohort (release {RELEASE})."
    population = CONFIG.clinic.training_population or (virtual if VIRTUAL else release)
    return CONFIG.clinic.model_copy(update={"training_population": population}).model_dump_json()

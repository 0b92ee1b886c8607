"""What rules take in: functions of the wildcards."""


def inventory(wildcards):
    """The patient's raw files, told shortly: a change means that their digests must be taken anew."""
    patient = PATIENT[wildcards.patient]
    return "" if VIRTUAL else told_shortly(files_below(patient.ct), [Path(RAW, xray.path) for xray in patient.xrays])


def water_inventory(wildcards):
    """The scans of cylinders of water, told shortly."""
    return "" if VIRTUAL else [told_shortly(files_below(folder), []) for folder in CONFIG.calibration.water]


def files_below(folder):
    """All files below a folder of raw data."""
    return sorted(Path(root, name) for root, _, names in os.walk(Path(RAW, folder)) for name in names)


def told_shortly(slices, images):
    """Number, size and headers of files of a CT and of single images."""
    sizes = [path.stat().st_size for path in slices + images if path.is_file()]
    # A corrected tag seldom changes a file's size: headers are compared too, of every image and of one slice.
    headers = hashlib.sha256()
    for path in slices[:1] + [path for path in images if path.is_file()]:
        with path.open("rb") as file:
            headers.update(file.read(8192))
    return f"{len(sizes)} files, {sum(sizes)} bytes, headers {headers.hexdigest()[:16]}"


def virtual_water():
    """The cylinders of the virtual hospital that are asked for; a folder of another name is told as missing."""
    scanners = range(1, CONFIG.cohort.virtual.ct.scanners + 1) if VIRTUAL else ()
    known = {f"water/CT{number:02d}": f"{VIRTUAL}/truth/water/CT{number:02d}.json" for number in scanners}
    return [known[folder] for folder in CONFIG.calibration.water if folder in known]


def below_raw(path):
    """A path of the tables for the shell; the raw folder stays out of it, so that moving it makes nothing run again."""
    return f'"$RAW"/{shlex.quote(path)}'


def raw_path(column):
    """A path of the patient's row below the raw folder, quoted for the shell; nothing stays nothing."""

    def quoted(wildcards):
        path = getattr(PATIENT[wildcards.patient], column)
        return below_raw(path) if path else "''"

    return quoted


def provided(column):
    """A provided mask as an input, if it is there; one that is missing concerns its patient alone."""

    def existing(wildcards):
        path = getattr(PATIENT[wildcards.patient], column)
        return [f"{RAW}/{path}"] if path and not VIRTUAL and Path(RAW, path).is_file() else []

    return existing


def existing_labels(patients):
    """The bone labels of these patients that are there; one that is missing concerns its patient alone."""
    paths = [Path(RAW, PATIENT[patient].bone_labels) for patient in patients]
    return [] if VIRTUAL else [path for path in paths if path.is_file()]


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
    """The virtual cohort's section without its length and the others' defects: more patients change none."""
    patient = VIRTUAL_PATIENT[wildcards.patient]
    last = patient.index + 1
    own = {name: defects for name, defects in CONFIG.cohort.virtual.defects.items() if name == patient.patient_id}
    update = {"patients": last, "labelled": last if patient.labelled else 0, "defects": own}
    return CONFIG.cohort.virtual.model_copy(update=update).model_dump_json()


def training_section(wildcards):
    """The segmentation section without what its training does not look at: a limit trains nothing anew."""
    return CONFIG.segmentation.model_dump_json(include=set(TRAINING_KEYS))


def clinic_section(wildcards):
    """The clinic section; a report always says whom the model has learned from."""
    virtual = "Virtual patients (simulated anatomy, CT and X-rays); no human data."
    release = f"The first {len(RELEASED)} usable patients of this cohort (release {RELEASE})."
    population = CONFIG.clinic.training_population or (virtual if VIRTUAL else release)
    return CONFIG.clinic.model_copy(update={"training_population": population}).model_dump_json()


def learned_from(wildcards):
    """The labelled patients outside the fold."""
    return [patient for patient in LABELLED if patient not in HELD_OUT[int(wildcards.fold)]]


def labels_of(patients):
    """Where the bone labels of these patients lie, for the shell."""
    return " ".join(below_raw(PATIENT[patient].bone_labels) for patient in patients)


def trained_network(wildcards):
    """The network, for patients that need it, if there is anybody to learn from."""
    return [] if PATIENT[wildcards.patient].bone_labels or not LABELLED else rules.train_segmentation.output.model


def network_gpus(wildcards):
    """GPUs of a segmentation: none for patients that need no network."""
    return gpus(wildcards) if trained_network(wildcards) else 0


def totalsegmentator_masks(wildcards):
    """TotalSegmentator's masks, for patients that need them."""
    needed = BACKEND == "totalsegmentator" and not PATIENT[wildcards.patient].bone_labels
    return rules.run_totalsegmentator.output.manifest if needed else []

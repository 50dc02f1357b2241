"""The environment variables that sweeper reads, heeds or sets, with their meanings."""

from collections.abc import Mapping

# Those that sweeper reads itself, which an option of the command line overrides.
OF_OPTIONS: Mapping[str, tuple[str, str]] = {
    "SWEEPER_STORE": ("--store", "folder of the store"),
    "OPTUNA_STORAGE": ("--storage", "address of Optuna's storage, if it is not SQLite in the store"),
    "MLFLOW_TRACKING_URI": ("--tracking-uri", "address of MLflow's server, if runs are not in SQLite in the store"),
    "SWEEPER_DATA_DIR": ("--data-dir", "folder of the files of known data sets"),
    "SWEEPER_ENGINE": ("--engine", "where trainings run: local, inline or ray"),
    "RAY_ADDRESS": ("--ray-address", "head of the Ray cluster, as HOST:PORT"),
}
# Those without an option.
READ = {
    "SWEEPER_CACHE_DIR": "folder for downloaded and decoded images, in place of sweeper's folder in the user's cache",
    "_SWEEPER_COMPLETE": "set by the script of sweeper completion, to ask for completions",
    "COLUMNS": "width of the tables, in characters, in place of the terminal's",
    "SLURM_CPUS_PER_TASK": "most cores that sweeper uses; Slurm sets it to those that the job may use",
}
# Values that sweeper hides wherever it prints or stores a text. The libraries that need them read them.
SECRET = {
    "MLFLOW_TRACKING_PASSWORD": "password for MLflow's server",
    "MLFLOW_TRACKING_TOKEN": "token for MLflow's server",
    "PGPASSWORD": "password for PostgreSQL",
    "RAY_AUTH_TOKEN": "token of a Ray cluster",
}
# Those that only the libraries read, and that change what sweeper does.
OF_LIBRARIES = {
    "TMPDIR": "folder of temporary files (Python)",
    "CUDA_VISIBLE_DEVICES": "GPUs that --device cuda can use (CUDA)",
    "HF_HUB_CACHE": "folder of downloaded pretrained weights (Hugging Face hub)",
    "MLFLOW_TRACKING_USERNAME": "user of MLflow's server (MLflow)",
    "PGPASSFILE": "file with the passwords for PostgreSQL (libpq)",
    "MALLOC_TRIM_THRESHOLD_": (
        "free bytes above which malloc returns memory to the system (glibc); default in CPU workers: up to 512 MiB"
    ),
    "MALLOC_MMAP_THRESHOLD_": (
        "size in bytes from which an allocation gets memory of its own (glibc); default in CPU workers: 32 MiB"
    ),
    "GLIBC_TUNABLES": "sets the same two, as glibc.malloc.trim_threshold and glibc.malloc.mmap_threshold (glibc)",
    "RAY_AUTH_TOKEN_PATH": "file with the token of a Ray cluster (Ray)",
    "NO_COLOR": "if it is set, no colours on a terminal (Rich)",
}
# Those that sweeper sets for itself and its workers, if they are not set.
DEFAULTED = {
    "MLFLOW_LOGGING_LEVEL": "WARNING: MLflow's own messages",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30: seconds that a request to MLflow's server may take",
    "PYTHON_COLORS": "0: no colours in tracebacks",
    "CUDA_DEVICE_MAX_CONNECTIONS": "32, in workers: trainings that share a GPU do not wait for each other",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false, for sweeper ui: it starts none of MLflow's jobs",
}
# Those that sweeper sets for itself and its workers, whatever they are.
SET = {
    "MLFLOW_DISABLE_TELEMETRY": "true: MLflow reports nothing to its makers",
    "DO_NOT_TRACK": "true: the same, for other libraries",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true: stdout has the results alone",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false: no progress bars beside sweeper's own",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0: sweeper itself tries again",
    "HF_HUB_OFFLINE": "1, with --offline: pretrained weights come from files or the cache alone",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8, for trainings: the same results on a GPU each time",
    "OMP_NUM_THREADS": "number of threads of a worker",
    "MKL_NUM_THREADS": "number of threads of a worker",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "bounds the memory of a worker",
    "RAY_AUTH_MODE": "token, with --engine ray unless --ray-insecure: the cluster asks for a token",
    "RAY_gcs_server_port_wait_time_s": "bounds the wait for a Ray cluster",
    "PYTHONBREAKPOINT": "what it was before, with --engine ray: Ray puts its own debugger there",
}

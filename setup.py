"""What a wheel holds: the package `twinstream` and, in its private folder, the services and what
they stand on.

In this repository they lie side by side; an environment gets one importable name only.
"""

from setuptools import find_namespace_packages, setup

HOME = "twinstream._services"
PRIVATE = (
    "deploy",
    "examples",
    "ingest_svc",
    "monitor_svc",
    "predict_svc",
    "preprocess_svc",
    "schemas",
    "train_svc",
)

if __name__ == "__main__":
    setup(
        packages=[
            *find_namespace_packages(include=["twinstream*"]),
            *(
                f"{HOME}.{package}"
                for name in PRIVATE
                for package in find_namespace_packages(
                    include=[name, f"{name}.*"], exclude=["deploy.site*"]
                )
            ),
        ],
        package_dir={f"{HOME}.{name}": name for name in PRIVATE},
    )

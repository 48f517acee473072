#!/bin/sh
# One hash-locked file a service: what its image holds and nothing else, at the versions of
# requirements.lock. `make lock` runs it.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
for service in gateway tokenizer cache router ledger; do
    "$uv" pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --quiet --constraint requirements.lock --extra "$service" pyproject.toml \
        -o "images/locks/$service.lock"
done
# What the build needs and the image does not.
printf 'grpcio-tools\ncyclonedx-bom\n' | "$uv" pip compile --universal --python-version 3.11 \
    --generate-hashes --no-header --no-annotate --quiet --constraint requirements.lock - \
    -o images/locks/build.lock

#!/bin/sh
# Lays out one service as its image holds it: assemble.sh SERVICE FOLDER
#   FOLDER/lib  the libraries of images/locks/SERVICE.lock
#   FOLDER/app  the service's own code, the contracts' generated code, and `service` to start it
# Run with the tools of images/locks/build.lock on the path. The Dockerfile runs this, and so does a
# test where there is no engine to build an image with.
set -eu
service=$1
out=$2
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."
case $service in
gateway) module=gateway ;;
tokenizer | cache | router | ledger) module=services.$service ;;
*)
    echo "assemble.sh: no service is called $service" >&2
    exit 64
    ;;
esac

mkdir -p "$out/lib" "$out/app/service"
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes \
    --target "$out/lib" -r "images/locks/$service.lock"

includes=$out/includes
mkdir -p "$includes/google/rpc"
cp "$out/lib/google/rpc/status.proto" "$includes/google/rpc/"
find protos -name '*.proto' -exec "$python" -m grpc_tools.protoc -I protos -I "$includes" \
    --python_out="$out/app" --grpc_python_out="$out/app" {} +
rm -r "$includes"

cp -r chassis catalog "$out/app/"
if [ "$module" = gateway ]; then
    cp -r gateway "$out/app/"
else
    mkdir "$out/app/services"
    cp services/__init__.py "$out/app/services/"
    cp -r "services/$service" "$out/app/services/"
fi
printf '"""Starts the one service of this image."""\n\nimport runpy\n\nrunpy.run_module("%s", run_name="__main__", alter_sys=True)\n' \
    "$module" >"$out/app/service/__main__.py"

# Neither tests nor caches of libraries are run in an image.
find "$out" -type d \( -name __pycache__ -o -name tests -o -name training \) -prune -exec rm -rf {} +
rm -rf "$out/lib/bin"

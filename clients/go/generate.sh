#!/bin/sh
# Builds pb/ from the contracts: generate.sh [PYTHON with grpcio-tools]
set -eu
python=${1:-python3}
cd "$(dirname "$0")"
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
protos=$(cd ../.. && pwd)/protos
google=$("$python" -c 'import google.rpc as r; print(list(r.__path__)[0])')/../..
mapping=
for room in chat tokenizer cache router ledger gateway; do
    for file in "$protos/spendgate/$room/v1/"*.proto; do
        name=spendgate/$room/v1/$(basename "$file")
        mapping="$mapping,M$name=spendgate.dev/client/pb/${room}pb"
    done
done
rm -rf pb && mkdir pb
PATH=$bin:$PATH "$python" -m grpc_tools.protoc -I "$protos" -I "$google" \
    --go_out=. --go_opt="module=spendgate.dev/client$mapping" \
    --go-grpc_out=. --go-grpc_opt="module=spendgate.dev/client$mapping" \
    $(cd "$protos" && find spendgate/chat spendgate/ledger spendgate/gateway -name '*.proto')

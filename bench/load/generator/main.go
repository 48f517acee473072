// The load generator of `make bench`: a static provider, and closed or open loop load over HTTP
// and gRPC. Payloads are opaque bytes made by bench.load; one line of JSON tells the outcome.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

// marker is replaced in payloads by a number of as many digits, so that lengths stay right.
const marker = "@@@@@@@@@@@@@@@@"

type options struct {
	kind        string
	target      string
	path        string
	key         string
	headers     string
	payloads    string
	first       uint64
	concurrency int
	seconds     float64
	rate        float64
	stream      bool
	connections int
	interval    time.Duration
	chunks      int
	answer      string
	listen      string
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("say what to do: upstream, http or grpc"))
	}
	o := options{kind: os.Args[1]}
	flags := flag.NewFlagSet(o.kind, flag.ExitOnError)
	flags.StringVar(&o.target, "target", "", "host:port to call")
	flags.StringVar(&o.path, "path", "/v1/chat/completions", "HTTP path, or full gRPC method")
	flags.StringVar(&o.key, "key", "", "sent as a bearer token")
	flags.StringVar(&o.headers, "headers", "", "further HTTP headers, NAME: VALUE, parted by |")
	flags.StringVar(&o.payloads, "payloads", "", "folder of payload files, taken in turn")
	flags.Uint64Var(&o.first, "first", 0, "first number put in place of the marker")
	flags.IntVar(&o.concurrency, "concurrency", 1, "calls under way at once")
	flags.IntVar(&o.connections, "connections", 4, "gRPC connections to share")
	flags.Float64Var(&o.seconds, "seconds", 5, "how long to begin calls for")
	flags.Float64Var(&o.rate, "rate", 0, "calls a second, begun on schedule (open loop); 0: closed loop")
	flags.BoolVar(&o.stream, "stream", false, "answers are streams: time to first piece, late pieces")
	flags.DurationVar(&o.interval, "interval", 20*time.Millisecond, "between two pieces of a stream")
	flags.IntVar(&o.chunks, "chunks", 50, "pieces of a stream (upstream)")
	flags.StringVar(&o.answer, "answer", "", "file with the whole answer (upstream)")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "address (upstream)")
	if err := flags.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	var told any
	var err error
	switch o.kind {
	case "upstream":
		err = serve(o)
	case "http", "grpc":
		told, err = drive(o)
	default:
		err = fmt.Errorf("unknown: %s", o.kind)
	}
	if err != nil {
		fail(err)
	}
	if told != nil {
		if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

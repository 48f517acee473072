package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func newCaller(o options) (caller, error) {
	if o.kind == "grpc" {
		return newGrpc(o)
	}
	transport := &http.Transport{
		MaxIdleConns:        o.concurrency * 2,
		MaxIdleConnsPerHost: o.concurrency * 2,
		DisableCompression:  true,
	}
	made := &httpCaller{&http.Client{Transport: transport}, "http://" + o.target + o.path, http.Header{}, o.stream}
	made.header.Set("Content-Type", "application/json")
	if o.key != "" {
		made.header.Set("Authorization", "Bearer "+o.key)
	}
	for _, line := range strings.Split(o.headers, "|") {
		if name, value, found := strings.Cut(line, ": "); found {
			made.header.Set(name, value)
		}
	}
	return made, nil
}

type httpCaller struct {
	client *http.Client
	url    string
	header http.Header
	stream bool
}

func (c *httpCaller) call(ctx context.Context, payload []byte) ([]time.Time, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(payload))
	if err != nil {
		return nil, err.Error()
	}
	request.Header = c.header
	response, err := c.client.Do(request)
	if err != nil {
		return nil, "connection"
	}
	defer response.Body.Close()
	var pieces []time.Time
	if c.stream && response.StatusCode == http.StatusOK {
		pieces, err = arrivals(response.Body)
	} else {
		_, err = io.Copy(io.Discard, response.Body)
	}
	if err != nil {
		return nil, "broken off"
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Sprint(response.StatusCode)
	}
	return pieces, ""
}

// arrivals are the moments at which pieces with text came, one for each.
func arrivals(body io.Reader) ([]time.Time, error) {
	var pieces []time.Time
	var rest []byte
	buffer := make([]byte, 64*1024)
	for {
		count, err := body.Read(buffer)
		now := time.Now()
		rest = append(rest, buffer[:count]...)
		for {
			end := bytes.Index(rest, []byte("\n\n"))
			if end < 0 {
				break
			}
			if bytes.Contains(rest[:end], []byte(`"content":"word `)) {
				pieces = append(pieces, now)
			}
			rest = rest[end+2:]
		}
		if err == io.EOF {
			return pieces, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// raw hands bytes through: payloads are serialised already.
type raw struct{}

func (raw) Marshal(value any) ([]byte, error) { return *value.(*[]byte), nil }
func (raw) Unmarshal(data []byte, value any) error {
	*value.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "proto" }

var _ encoding.Codec = raw{}

type grpcCaller struct {
	connections []*grpc.ClientConn
	turn        atomic.Uint64
	method      string
	header      metadata.MD
	stream      bool
}

func newGrpc(o options) (caller, error) {
	made := &grpcCaller{method: o.path, header: metadata.Pairs("authorization", "Bearer "+o.key), stream: o.stream}
	for range max(1, min(o.connections, o.concurrency)) {
		connection, err := grpc.NewClient(o.target, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
		if err != nil {
			return nil, err
		}
		made.connections = append(made.connections, connection)
	}
	return made, nil
}

func (c *grpcCaller) call(ctx context.Context, payload []byte) ([]time.Time, string) {
	connection := c.connections[c.turn.Add(1)%uint64(len(c.connections))]
	ctx = metadata.NewOutgoingContext(ctx, c.header)
	if c.stream {
		return c.read(ctx, connection, payload)
	}
	var answer []byte
	if err := connection.Invoke(ctx, c.method, &payload, &answer); err != nil {
		return nil, status.Code(err).String()
	}
	return nil, ""
}

func (c *grpcCaller) read(ctx context.Context, connection *grpc.ClientConn, payload []byte) ([]time.Time, string) {
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, c.method)
	if err == nil {
		err = stream.SendMsg(&payload)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	var pieces []time.Time
	for err == nil {
		var answer []byte
		if err = stream.RecvMsg(&answer); err == nil && bytes.Contains(answer, []byte("word ")) {
			pieces = append(pieces, time.Now())
		}
	}
	if err != io.EOF {
		return nil, status.Code(err).String()
	}
	return pieces, ""
}

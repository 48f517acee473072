package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// caller makes one call. What it tells besides are the moments pieces of a stream came at.
type caller interface {
	call(ctx context.Context, payload []byte) (pieces []time.Time, failure string)
}

// sample is one call.
type sample struct {
	latency time.Duration
	first   time.Duration
	late    []time.Duration
	failure string
}

type outcome struct {
	Requests  int            `json:"requests"`
	Failures  map[string]int `json:"failures"`
	Seconds   float64        `json:"seconds"`
	Rate      float64        `json:"requests_per_second"`
	Latency   quantiles      `json:"latency_us"`
	FirstByte *quantiles     `json:"first_piece_us,omitempty"`
	Late      *quantiles     `json:"late_us,omitempty"`
	Pieces    int            `json:"pieces,omitempty"`
}

type quantiles struct {
	P50 int64 `json:"p50"`
	P95 int64 `json:"p95"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// drive makes calls for a while. In the closed loop each of the callers begins a call when its last
// one ended. In the open loop calls are due at fixed moments and latency counts from there, so that
// a slow system cannot hide by keeping its callers waiting (coordinated omission).
func drive(o options) (*outcome, error) {
	payloads, err := load(o.payloads)
	if err != nil {
		return nil, err
	}
	client, err := newCaller(o)
	if err != nil {
		return nil, err
	}
	var number atomic.Uint64
	var turn atomic.Uint64
	number.Store(o.first)
	start := time.Now()
	end := start.Add(time.Duration(o.seconds * float64(time.Second)))
	results := make([][]sample, o.concurrency)
	var group sync.WaitGroup
	for worker := 0; worker < o.concurrency; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				at := turn.Add(1) - 1
				due := time.Now()
				if o.rate > 0 {
					due = start.Add(time.Duration(float64(at) / o.rate * float64(time.Second)))
					time.Sleep(time.Until(due))
				}
				if due.After(end) {
					return
				}
				payload := numbered(payloads[at%uint64(len(payloads))], &number)
				results[worker] = append(results[worker], one(client, payload, due, o))
			}
		}()
	}
	group.Wait()
	return summed(results, time.Since(start)), nil
}

func one(client caller, payload []byte, due time.Time, o options) sample {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	pieces, failure := client.call(ctx, payload)
	done := sample{latency: time.Since(due), failure: failure}
	if failure == "" && len(pieces) > 0 {
		done.first = pieces[0].Sub(due)
		for at, came := range pieces {
			done.late = append(done.late, came.Sub(pieces[0])-time.Duration(at)*o.interval)
		}
	}
	return done
}

func summed(results [][]sample, took time.Duration) *outcome {
	told := &outcome{Failures: map[string]int{}, Seconds: took.Seconds()}
	var latencies, firsts, lates []time.Duration
	for _, samples := range results {
		for _, each := range samples {
			if each.failure != "" {
				told.Failures[each.failure]++
				continue
			}
			latencies = append(latencies, each.latency)
			if len(each.late) > 0 {
				firsts = append(firsts, each.first)
				lates = append(lates, each.late...)
			}
		}
	}
	told.Requests = len(latencies)
	told.Rate = float64(len(latencies)) / took.Seconds()
	told.Latency = *spread(latencies)
	told.Pieces = len(lates)
	if len(firsts) > 0 {
		told.FirstByte, told.Late = spread(firsts), spread(lates)
	}
	return told
}

func spread(times []time.Duration) *quantiles {
	if len(times) == 0 {
		return &quantiles{}
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	at := func(share float64) int64 {
		return times[int(share*float64(len(times)-1))].Microseconds()
	}
	return &quantiles{P50: at(0.50), P95: at(0.95), P99: at(0.99), Max: at(1)}
}

func load(folder string) ([][]byte, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no payloads in %s", folder)
	}
	sort.Strings(names)
	var payloads [][]byte
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, content)
	}
	return payloads, nil
}

// numbered is the payload with the next number in place of the marker, if it has one.
func numbered(payload []byte, number *atomic.Uint64) []byte {
	if !bytes.Contains(payload, []byte(marker)) {
		return payload
	}
	digits := fmt.Sprintf("%0*d", len(marker), number.Add(1))
	return bytes.ReplaceAll(payload, []byte(marker), []byte(digits))
}

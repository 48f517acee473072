package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// serve answers every POST with the same bytes: a whole answer, embeddings, or a stream of pieces
// at a fixed pace. It stands for a provider that takes no time.
func serve(o options) error {
	answer, err := os.ReadFile(o.answer)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(answer, o)}
	fmt.Printf("{\"address\": %q}\n", listener.Addr().String())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func handler(answer []byte, o options) http.HandlerFunc {
	length := fmt.Sprint(len(answer))
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if bytes.Contains(body, []byte(`"stream":true`)) || bytes.Contains(body, []byte(`"stream": true`)) {
			pace(w, r, o)
			return
		}
		header := w.Header()
		header["Content-Type"] = []string{"application/json"}
		header["Content-Length"] = []string{length}
		_, _ = w.Write(answer)
	}
}

const (
	piece = `data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"static","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}` + "\n\n"
	last  = `data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"static","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"static","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":50,"total_tokens":70}}` + "\n\n" +
		"data: [DONE]\n\n"
)

// pace writes pieces on a schedule fixed when the call came in: a late one does not delay the next.
func pace(w http.ResponseWriter, r *http.Request, o options) {
	w.Header()["Content-Type"] = []string{"text/event-stream"}
	flusher, ok := w.(http.Flusher)
	if !ok {
		return
	}
	start := time.Now()
	for at := 0; at < o.chunks; at++ {
		if wait := time.Until(start.Add(time.Duration(at) * o.interval)); wait > 0 {
			select {
			case <-time.After(wait):
			case <-r.Context().Done():
				return
			}
		}
		if _, err := io.WriteString(w, piece); err != nil {
			return
		}
		flusher.Flush()
	}
	_, _ = io.WriteString(w, last)
}

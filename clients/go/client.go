// Package spendgate talks to Spendgate's gateway over gRPC: answers, streams, typed errors.
package spendgate

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"spendgate.dev/client/pb/chatpb"
	"spendgate.dev/client/pb/gatewaypb"
)

const (
	triesMax        = 3
	backoff         = 100 * time.Millisecond
	deadlineDefault = 2 * time.Minute
	messageBytesMax = 16 << 20
)

// Client is a line to the gateway. Close it when done.
type Client struct {
	conn    *grpc.ClientConn
	gateway gatewaypb.GatewayServiceClient
	key     string
}

// Dial opens a line to address, a gRPC target. Without transport credentials it is plaintext.
func Dial(address, key string, transport credentials.TransportCredentials) (*Client, error) {
	if transport == nil {
		transport = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)))
	if err != nil {
		return nil, err
	}
	return &Client{conn, gatewaypb.NewGatewayServiceClient(conn), key}, nil
}

// Close ends the line and the calls on it.
func (c *Client) Close() error { return c.conn.Close() }

// Ask is a prompt with its options. An empty Model means "auto".
type Ask struct {
	Model       string
	Messages    []*chatpb.Message
	Sampling    *chatpb.Sampling
	Options     *gatewaypb.RequestOptions
	Traceparent string
}

// Text is the Ask of one user message.
func Text(text string) Ask {
	return Ask{Messages: []*chatpb.Message{{Role: chatpb.Role_ROLE_USER, Content: text}}}
}

// Answer is what came back: the first choice's text, all choices, and what it took.
type Answer struct {
	Text    string
	Choices []*chatpb.Choice
	Summary *gatewaypb.Summary
}

// Complete answers a prompt. The context's deadline holds; without one it is two minutes. It is tried
// again only where nothing can have been paid for: shed before work began, or never arrived.
func (c *Client) Complete(ctx context.Context, ask Ask) (*Answer, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	for tries := 1; ; tries++ {
		response, err := c.gateway.Complete(c.outgoing(ctx, ask), &gatewaypb.CompleteRequest{
			Model: ask.model(), Prompt: ask.prompt(), Options: ask.Options,
		})
		if err == nil {
			return &Answer{textOf(response.Choices), response.Choices, response.Summary}, nil
		}
		err = typed(err)
		wait, again := pause(err, tries)
		if !again {
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// Event is a piece of an answer, or its summary, which comes last.
type Event struct {
	Text    string
	Summary *gatewaypb.Summary
}

// Stream answers piece by piece. Leaving the loop cancels the call.
func (c *Client) Stream(ctx context.Context, ask Ask) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, cancel := withDeadline(ctx)
		defer cancel()
		stream, err := c.gateway.StreamComplete(c.outgoing(ctx, ask), &gatewaypb.StreamCompleteRequest{
			Model: ask.model(), Prompt: ask.prompt(), Options: ask.Options,
		})
		for err == nil {
			var response *gatewaypb.StreamCompleteResponse
			if response, err = stream.Recv(); err != nil {
				break
			}
			event := Event{response.GetDelta().GetContent(), response.GetSummary()}
			if event.Text == "" && event.Summary == nil {
				continue
			}
			if !yield(event, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(Event{}, typed(err))
		}
	}
}

func (c *Client) outgoing(ctx context.Context, ask Ask) context.Context {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.key)
	if ask.Traceparent != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", ask.Traceparent)
	}
	return ctx
}

func (a Ask) model() string {
	if a.Model == "" {
		return "auto"
	}
	return a.Model
}

func (a Ask) prompt() *chatpb.Prompt {
	return &chatpb.Prompt{Messages: a.Messages, Sampling: a.Sampling}
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, set := ctx.Deadline(); set {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, deadlineDefault)
}

func textOf(choices []*chatpb.Choice) string {
	if len(choices) == 0 {
		return ""
	}
	return choices[0].GetMessage().GetContent()
}

func pause(err error, tries int) (time.Duration, bool) {
	if tries >= triesMax {
		return 0, false
	}
	var overloaded *Overloaded
	if errors.As(err, &overloaded) {
		return overloaded.RetryAfter, true
	}
	var away *ServiceUnavailable
	bare, isBare := err.(*Refusal)
	neverArrived := isBare && bare.Reason == "" && bare.Code == codes.Unavailable
	if !errors.As(err, &away) && !neverArrived {
		return 0, false
	}
	return time.Duration(rand.Int64N(int64(backoff) << tries)), true
}

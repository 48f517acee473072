// The list of clients/conformance/README.md, run by this client.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	spendgate "spendgate.dev/client"
	"spendgate.dev/client/pb/gatewaypb"
)

var (
	address = os.Getenv("SPENDGATE_ADDRESS")
	hang    = os.Getenv("SPENDGATE_HANG_MODEL")
	own     = fmt.Sprintf("go %d", os.Getpid())
)

type testCase struct {
	name string
	run  func(context.Context, *spendgate.Client) error
}

func check(holds bool, what string) error {
	if holds {
		return nil
	}
	return errors.New(what)
}

func complete(ctx context.Context, c *spendgate.Client) error {
	answer, err := c.Complete(ctx, spendgate.Text("Say hello, "+own+"."))
	if err != nil {
		return err
	}
	return check(answer.Text != "" && answer.Summary.RequestId != "" && answer.Summary.CostNanos > 0, "empty")
}

func stream(ctx context.Context, c *spendgate.Client) error {
	var pieces int
	var last spendgate.Event
	for event, err := range c.Stream(ctx, spendgate.Text("Count to three, "+own+".")) {
		if err != nil {
			return err
		}
		pieces, last = pieces+1, event
	}
	return check(pieces > 2 && last.Summary.GetRequestId() != "", "too few pieces, or no summary")
}

func cacheHit(ctx context.Context, c *spendgate.Client) error {
	ask := spendgate.Text("Twice the same, " + own + ".")
	if _, err := c.Complete(ctx, ask); err != nil {
		return err
	}
	answer, err := c.Complete(ctx, ask)
	if err != nil {
		return err
	}
	hit := answer.Summary.Source == gatewaypb.AnswerSource_ANSWER_SOURCE_CACHE_EXACT
	return check(hit && answer.Summary.CostNanos == 0, "not from the cache")
}

func budgetRefused(ctx context.Context, _ *spendgate.Client) error {
	poor, err := spendgate.Dial(address, os.Getenv("SPENDGATE_POOR_KEY"), nil)
	if err != nil {
		return err
	}
	defer poor.Close()
	_, err = poor.Complete(ctx, spendgate.Text("Too dear, "+own+"."))
	var refused *spendgate.BudgetExceeded
	if !errors.As(err, &refused) {
		return fmt.Errorf("not BudgetExceeded: %w", err)
	}
	named := refused.BudgetID == "poor" && strings.Contains(refused.Quota[0].Subject, "poor")
	return check(named && refused.LimitNanos == 1, "the budget is not named")
}

func invalidArgument(ctx context.Context, c *spendgate.Client) error {
	_, err := c.Complete(ctx, spendgate.Ask{})
	var refused *spendgate.InvalidRequest
	if !errors.As(err, &refused) {
		return fmt.Errorf("not InvalidRequest: %w", err)
	}
	return check(refused.Violations[0].Field == "prompt.messages", "the field is not named")
}

func keyInvalid(ctx context.Context, _ *spendgate.Client) error {
	stranger, err := spendgate.Dial(address, "sk-nobody", nil)
	if err != nil {
		return err
	}
	defer stranger.Close()
	_, err = stranger.Complete(ctx, spendgate.Text("Who am I?"))
	var refused *spendgate.KeyInvalid
	return check(errors.As(err, &refused), "not KeyInvalid")
}

func deadline(ctx context.Context, c *spendgate.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	ask := spendgate.Text("Hang, " + own + ".")
	ask.Model = hang
	_, err := c.Complete(ctx, ask)
	var passed *spendgate.DeadlinePassed
	return check(errors.As(err, &passed), "not DeadlinePassed")
}

func cancelled(ctx context.Context, c *spendgate.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(200*time.Millisecond, cancel)
	ask := spendgate.Text("Hang and be left, " + own + ".")
	ask.Model = hang
	for _, err := range c.Stream(ctx, ask) {
		var left *spendgate.Cancelled
		if err != nil {
			return check(errors.As(err, &left), "not Cancelled: "+err.Error())
		}
	}
	return nil
}

func trace(ctx context.Context, c *spendgate.Client) error {
	id := os.Getenv("SPENDGATE_TRACE_ID")
	ask := spendgate.Text("Trace me, " + own + ".")
	ask.Traceparent = "00-" + id + "-00f067aa0ba902b7-01"
	answer, err := c.Complete(ctx, ask)
	if err != nil {
		return err
	}
	return check(answer.Summary.TraceId == id, "another trace")
}

func unicode(ctx context.Context, c *spendgate.Client) error {
	answer, err := c.Complete(ctx, spendgate.Text("Grüße, 你好, مرحبا, नमस्ते, 👩‍👩‍👧, e\u0301 from "+own))
	if err != nil {
		return err
	}
	return check(answer.Text != "", "empty")
}

func large(ctx context.Context, c *spendgate.Client) error {
	text := own + " " + strings.Repeat("a word and another ", (1<<19)/19)
	answer, err := c.Complete(ctx, spendgate.Text(text))
	if err != nil {
		return err
	}
	return check(answer.Text != "", "empty")
}

func main() {
	client, err := spendgate.Dial(address, os.Getenv("SPENDGATE_KEY"), nil)
	if err != nil {
		panic(err)
	}
	failed := 0
	for _, each := range []testCase{
		{"complete", complete}, {"stream", stream}, {"cache_hit", cacheHit},
		{"budget_refused", budgetRefused}, {"invalid_argument", invalidArgument},
		{"key_invalid", keyInvalid}, {"deadline", deadline}, {"cancel", cancelled},
		{"trace", trace}, {"unicode", unicode}, {"large", large},
	} {
		err, text := each.run(context.Background(), client), ""
		if err != nil {
			failed, text = failed+1, err.Error()
		}
		line, _ := json.Marshal(map[string]any{"case": each.name, "ok": err == nil, "error": text})
		fmt.Println(string(line))
	}
	client.Close()
	if failed > 0 {
		os.Exit(1)
	}
}

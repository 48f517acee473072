package spendgate

import (
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Refusal is any refusal. Reason is the gateway's ErrorReason without its prefix, "" where the call
// never reached a gateway.
type Refusal struct {
	Code     codes.Code
	Reason   string
	Message  string
	Metadata map[string]string
}

func (e *Refusal) Error() string { return e.Message }

// Each reason is a type of its own, so that errors.As finds it.
type (
	// KeyInvalid: the key opens nothing.
	KeyInvalid struct{ *Refusal }
	// ModelUnpriced: what the model costs could not be booked.
	ModelUnpriced struct{ *Refusal }
	// ProviderRefused: the provider will not take the request as it is.
	ProviderRefused struct{ *Refusal }
	// ProviderFailed: no provider of the chain gave an answer.
	ProviderFailed struct{ *Refusal }
	// ServiceUnavailable: a service of the fleet did not answer.
	ServiceUnavailable struct{ *Refusal }
	// DeadlinePassed: the time was up.
	DeadlinePassed struct{ *Refusal }
	// Cancelled: the caller left.
	Cancelled struct{ *Refusal }
	// InvalidRequest names the fields that are missing or out of range.
	InvalidRequest struct {
		*Refusal
		Violations []*errdetails.BadRequest_FieldViolation
	}
	// ModelUnknown gives a configured name that is close, or "".
	ModelUnknown struct {
		*Refusal
		Nearest string
	}
	// NoCandidate names each excluded model and why.
	NoCandidate struct {
		*Refusal
		Excluded []*errdetails.PreconditionFailure_Violation
	}
	// BudgetExceeded names the budget; amounts are nano-USD, ResetTime is zero for a lifetime's.
	BudgetExceeded struct {
		*Refusal
		BudgetID                           string
		LimitNanos, LeftNanos, NeededNanos int64
		ResetTime                          time.Time
		Quota                              []*errdetails.QuotaFailure_Violation
	}
	// Overloaded says when to come back.
	Overloaded struct {
		*Refusal
		RetryAfter time.Duration
	}
)

// Unwrap lets errors.As find *Refusal behind every kind.
func (e *KeyInvalid) Unwrap() error         { return e.Refusal }
func (e *ModelUnpriced) Unwrap() error      { return e.Refusal }
func (e *ProviderRefused) Unwrap() error    { return e.Refusal }
func (e *ProviderFailed) Unwrap() error     { return e.Refusal }
func (e *ServiceUnavailable) Unwrap() error { return e.Refusal }
func (e *DeadlinePassed) Unwrap() error     { return e.Refusal }
func (e *Cancelled) Unwrap() error          { return e.Refusal }
func (e *InvalidRequest) Unwrap() error     { return e.Refusal }
func (e *ModelUnknown) Unwrap() error       { return e.Refusal }
func (e *NoCandidate) Unwrap() error        { return e.Refusal }
func (e *BudgetExceeded) Unwrap() error     { return e.Refusal }
func (e *Overloaded) Unwrap() error         { return e.Refusal }

type details struct {
	bad          *errdetails.BadRequest
	quota        *errdetails.QuotaFailure
	precondition *errdetails.PreconditionFailure
	retry        *errdetails.RetryInfo
}

func typed(err error) error {
	if err == nil {
		return nil
	}
	what, _ := status.FromError(err)
	base := &Refusal{Code: what.Code(), Message: what.Message()}
	var found details
	for _, detail := range what.Details() {
		switch kind := detail.(type) {
		case *errdetails.ErrorInfo:
			base.Reason, base.Metadata = kind.Reason, kind.Metadata
		case *errdetails.BadRequest:
			found.bad = kind
		case *errdetails.QuotaFailure:
			found.quota = kind
		case *errdetails.PreconditionFailure:
			found.precondition = kind
		case *errdetails.RetryInfo:
			found.retry = kind
		}
	}
	return kindOf(base, found)
}

func kindOf(base *Refusal, found details) error {
	switch base.Reason {
	case "KEY_INVALID":
		return &KeyInvalid{base}
	case "REQUEST_INVALID":
		return &InvalidRequest{base, found.bad.GetFieldViolations()}
	case "OVERLOADED":
		return &Overloaded{base, found.retry.GetRetryDelay().AsDuration()}
	case "MODEL_UNKNOWN":
		return &ModelUnknown{base, base.Metadata["nearest"]}
	case "NO_CANDIDATE":
		return &NoCandidate{base, found.precondition.GetViolations()}
	case "MODEL_UNPRICED":
		return &ModelUnpriced{base}
	case "BUDGET_EXCEEDED":
		return budgetExceeded(base, found.quota)
	case "PROVIDER_REFUSED":
		return &ProviderRefused{base}
	case "PROVIDER_FAILED":
		return &ProviderFailed{base}
	case "SERVICE_UNAVAILABLE":
		return &ServiceUnavailable{base}
	case "DEADLINE_PASSED":
		return &DeadlinePassed{base}
	}
	switch base.Code {
	case codes.DeadlineExceeded:
		return &DeadlinePassed{base}
	case codes.Canceled:
		return &Cancelled{base}
	}
	return base
}

func budgetExceeded(base *Refusal, quota *errdetails.QuotaFailure) error {
	nanos := func(name string) int64 {
		value, _ := strconv.ParseInt(base.Metadata[name], 10, 64)
		return value
	}
	reset, _ := time.Parse(time.RFC3339, base.Metadata["resetTime"])
	return &BudgetExceeded{
		base, base.Metadata["budgetId"], nanos("limitNanos"), nanos("leftNanos"), nanos("neededNanos"),
		reset, quota.GetViolations(),
	}
}

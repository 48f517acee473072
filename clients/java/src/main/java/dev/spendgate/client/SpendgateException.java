package dev.spendgate.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.PreconditionFailure;
import com.google.rpc.QuotaFailure;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;

/** Any refusal. The nested classes name each reason that the gateway gives. */
public class SpendgateException extends RuntimeException {
  private final Status.Code code;
  private final ErrorInfo info;

  SpendgateException(Details details) {
    super(details.message());
    this.code = details.code();
    this.info = details.info();
  }

  public Status.Code code() {
    return code;
  }

  /** The gateway's ErrorReason without its prefix, "" where the call never reached one. */
  public String reason() {
    return info.getReason();
  }

  public Map<String, String> metadata() {
    return info.getMetadataMap();
  }

  /** What a status carries, decoded. */
  record Details(
      Status.Code code,
      String message,
      ErrorInfo info,
      BadRequest badRequest,
      QuotaFailure quota,
      PreconditionFailure precondition,
      RetryInfo retry) {}

  /** The key opens nothing. */
  public static final class KeyInvalid extends SpendgateException {
    KeyInvalid(Details details) {
      super(details);
    }
  }

  /** What the model costs could not be booked. */
  public static final class ModelUnpriced extends SpendgateException {
    ModelUnpriced(Details details) {
      super(details);
    }
  }

  /** The provider will not take the request as it is. */
  public static final class ProviderRefused extends SpendgateException {
    ProviderRefused(Details details) {
      super(details);
    }
  }

  /** No provider of the chain gave an answer. */
  public static final class ProviderFailed extends SpendgateException {
    ProviderFailed(Details details) {
      super(details);
    }
  }

  /** A service of the fleet did not answer. */
  public static final class ServiceUnavailable extends SpendgateException {
    ServiceUnavailable(Details details) {
      super(details);
    }
  }

  /** The time was up. */
  public static final class DeadlinePassed extends SpendgateException {
    DeadlinePassed(Details details) {
      super(details);
    }
  }

  /** The caller left. */
  public static final class Cancelled extends SpendgateException {
    Cancelled(Details details) {
      super(details);
    }
  }

  /** A field is missing or out of range. */
  public static final class InvalidRequest extends SpendgateException {
    private final List<BadRequest.FieldViolation> violations;

    InvalidRequest(Details details) {
      super(details);
      violations = details.badRequest().getFieldViolationsList();
    }

    public List<BadRequest.FieldViolation> violations() {
      return violations;
    }
  }

  /** No model of this name is configured. */
  public static final class ModelUnknown extends SpendgateException {
    ModelUnknown(Details details) {
      super(details);
    }

    /** A configured name that is close, or "". */
    public String nearest() {
      return metadata().getOrDefault("nearest", "");
    }
  }

  /** No model can do what is asked at the cost allowed. */
  public static final class NoCandidate extends SpendgateException {
    private final List<PreconditionFailure.Violation> excluded;

    NoCandidate(Details details) {
      super(details);
      excluded = details.precondition().getViolationsList();
    }

    /** Each excluded model and why. */
    public List<PreconditionFailure.Violation> excluded() {
      return excluded;
    }
  }

  /** A budget would be broken. Amounts are nano-USD. */
  public static final class BudgetExceeded extends SpendgateException {
    private final List<QuotaFailure.Violation> quota;

    BudgetExceeded(Details details) {
      super(details);
      quota = details.quota().getViolationsList();
    }

    public String budgetId() {
      return metadata().getOrDefault("budgetId", "");
    }

    public long limitNanos() {
      return Long.parseLong(metadata().getOrDefault("limitNanos", "0"));
    }

    public long leftNanos() {
      return Long.parseLong(metadata().getOrDefault("leftNanos", "0"));
    }

    public long neededNanos() {
      return Long.parseLong(metadata().getOrDefault("neededNanos", "0"));
    }

    /** When the budget begins anew; null for a lifetime's. */
    public Instant resetTime() {
      String reset = metadata().get("resetTime");
      return reset == null ? null : Instant.parse(reset);
    }

    public List<QuotaFailure.Violation> quota() {
      return quota;
    }
  }

  /** The fleet has all the work it can hold. */
  public static final class Overloaded extends SpendgateException {
    private final Duration retryAfter;

    Overloaded(Details details) {
      super(details);
      var delay = details.retry().getRetryDelay();
      retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
    }

    public Duration retryAfter() {
      return retryAfter;
    }
  }

  static SpendgateException typed(StatusRuntimeException error) {
    Details details = decoded(error);
    return switch (details.info().getReason()) {
      case "KEY_INVALID" -> new KeyInvalid(details);
      case "REQUEST_INVALID" -> new InvalidRequest(details);
      case "OVERLOADED" -> new Overloaded(details);
      case "MODEL_UNKNOWN" -> new ModelUnknown(details);
      case "NO_CANDIDATE" -> new NoCandidate(details);
      case "MODEL_UNPRICED" -> new ModelUnpriced(details);
      case "BUDGET_EXCEEDED" -> new BudgetExceeded(details);
      case "PROVIDER_REFUSED" -> new ProviderRefused(details);
      case "PROVIDER_FAILED" -> new ProviderFailed(details);
      case "SERVICE_UNAVAILABLE" -> new ServiceUnavailable(details);
      case "DEADLINE_PASSED" -> new DeadlinePassed(details);
      default ->
          switch (details.code()) {
            case DEADLINE_EXCEEDED -> new DeadlinePassed(details);
            case CANCELLED -> new Cancelled(details);
            default -> new SpendgateException(details);
          };
    };
  }

  private static Details decoded(StatusRuntimeException error) {
    var status = StatusProto.fromThrowable(error);
    List<Any> packed = status == null ? List.of() : status.getDetailsList();
    String message = error.getStatus().getDescription();
    return new Details(
        error.getStatus().getCode(),
        message == null ? error.getStatus().getCode().name() : message,
        find(packed, ErrorInfo.class, ErrorInfo.getDefaultInstance()),
        find(packed, BadRequest.class, BadRequest.getDefaultInstance()),
        find(packed, QuotaFailure.class, QuotaFailure.getDefaultInstance()),
        find(packed, PreconditionFailure.class, PreconditionFailure.getDefaultInstance()),
        find(packed, RetryInfo.class, RetryInfo.getDefaultInstance()));
  }

  private static <T extends com.google.protobuf.Message> T find(
      List<Any> packed, Class<T> kind, T otherwise) {
    for (Any each : packed) {
      try {
        if (each.is(kind)) {
          return each.unpack(kind);
        }
      } catch (InvalidProtocolBufferException unreadable) {
        return otherwise;
      }
    }
    return otherwise;
  }
}

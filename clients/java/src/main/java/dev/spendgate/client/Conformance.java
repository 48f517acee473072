package dev.spendgate.client;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Timer;
import java.util.TimerTask;
import java.util.function.Supplier;
import spendgate.chat.v1.Chat;
import spendgate.gateway.v1.GatewayServiceOuterClass.AnswerSource;

/** The list of clients/conformance/README.md, run by this client. */
public final class Conformance {
  private static final String ADDRESS = System.getenv("SPENDGATE_ADDRESS");
  private static final String HANG = System.getenv("SPENDGATE_HANG_MODEL");
  private static final String OWN = "java " + ProcessHandle.current().pid();

  private final Spendgate gate = new Spendgate(ADDRESS, System.getenv("SPENDGATE_KEY"));

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new IllegalStateException(what);
    }
  }

  private static <T extends SpendgateException> T refused(Class<T> kind, Supplier<?> work) {
    try {
      work.get();
    } catch (SpendgateException error) {
      check(kind.isInstance(error), "not " + kind.getSimpleName() + ": " + error.getMessage());
      return kind.cast(error);
    }
    throw new IllegalStateException("no " + kind.getSimpleName());
  }

  private static Ask ask(String text) {
    return Ask.text(text + ", " + OWN + ".");
  }

  private void complete() {
    var answer = gate.complete(ask("Say hello"));
    check(!answer.text().isEmpty() && answer.summary().getCostNanos() > 0, "empty or free");
    check(!answer.summary().getRequestId().isEmpty(), "no request id");
  }

  private ArrayList<Spendgate.Piece> drained(Ask ask) {
    var pieces = new ArrayList<Spendgate.Piece>();
    try (var stream = gate.stream(ask)) {
      while (stream.hasNext()) {
        pieces.add(stream.next());
      }
    }
    return pieces;
  }

  private void stream() {
    var pieces = drained(ask("Count to three"));
    check(pieces.size() > 2, "too few pieces");
    check(pieces.get(pieces.size() - 1).summary() != null, "no summary");
  }

  private void cacheHit() {
    gate.complete(ask("Twice the same"));
    var summary = gate.complete(ask("Twice the same")).summary();
    check(summary.getSource() == AnswerSource.ANSWER_SOURCE_CACHE_EXACT, "not from the cache");
    check(summary.getCostNanos() == 0, "not free");
  }

  private void budgetRefused() {
    try (var poor = new Spendgate(ADDRESS, System.getenv("SPENDGATE_POOR_KEY"))) {
      var error =
          refused(SpendgateException.BudgetExceeded.class, () -> poor.complete(ask("Too dear")));
      check(error.budgetId().equals("poor") && error.limitNanos() == 1, "not named");
      check(error.quota().get(0).getSubject().contains("poor"), "no subject");
    }
  }

  private void invalidArgument() {
    var error =
        refused(
            SpendgateException.InvalidRequest.class,
            () -> gate.complete(Ask.of(Chat.Prompt.getDefaultInstance())));
    check(error.violations().get(0).getField().equals("prompt.messages"), "not named");
  }

  private void keyInvalid() {
    try (var stranger = new Spendgate(ADDRESS, "sk-nobody")) {
      refused(SpendgateException.KeyInvalid.class, () -> stranger.complete(ask("Who am I")));
    }
  }

  private void deadline() {
    var hanging = ask("Hang").withModel(HANG).withDeadline(Duration.ofMillis(500));
    refused(SpendgateException.DeadlinePassed.class, () -> gate.complete(hanging));
  }

  private void cancel() {
    var timer = new Timer(true);
    try (var stream = gate.stream(ask("Hang and be left").withModel(HANG))) {
      timer.schedule(
          new TimerTask() {
            @Override
            public void run() {
              stream.close();
            }
          },
          200);
      refused(SpendgateException.Cancelled.class, stream::hasNext);
    }
  }

  private void trace() {
    String id = System.getenv("SPENDGATE_TRACE_ID");
    var traced = ask("Trace me").withTraceparent("00-" + id + "-00f067aa0ba902b7-01");
    check(gate.complete(traced).summary().getTraceId().equals(id), "another trace");
  }

  private void unicode() {
    var answer = gate.complete(ask("Grüße, 你好, مرحبا, नमस्ते, 👩‍👩‍👧, e\u0301"));
    check(!answer.text().isEmpty(), "empty");
  }

  private void large() {
    check(!gate.complete(ask("a word and another ".repeat((1 << 19) / 19))).text().isEmpty(), "empty");
  }

  private Map<String, Runnable> cases() {
    var cases = new LinkedHashMap<String, Runnable>();
    cases.put("complete", this::complete);
    cases.put("stream", this::stream);
    cases.put("cache_hit", this::cacheHit);
    cases.put("budget_refused", this::budgetRefused);
    cases.put("invalid_argument", this::invalidArgument);
    cases.put("key_invalid", this::keyInvalid);
    cases.put("deadline", this::deadline);
    cases.put("cancel", this::cancel);
    cases.put("trace", this::trace);
    cases.put("unicode", this::unicode);
    cases.put("large", this::large);
    return cases;
  }

  public static void main(String[] arguments) {
    var conformance = new Conformance();
    int failed = 0;
    for (var each : conformance.cases().entrySet()) {
      String error = "";
      try {
        each.getValue().run();
      } catch (RuntimeException thrown) {
        failed++;
        error = String.valueOf(thrown.getMessage()).replace('"', '\'');
      }
      System.out.printf(
          "{\"case\": \"%s\", \"ok\": %b, \"error\": \"%s\"}%n", each.getKey(), error.isEmpty(), error);
    }
    conformance.gate.close();
    System.exit(failed == 0 ? 0 : 1);
  }
}

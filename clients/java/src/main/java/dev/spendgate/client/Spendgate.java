package dev.spendgate.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.ForwardingClientCall;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import spendgate.chat.v1.Chat;
import spendgate.gateway.v1.GatewayServiceGrpc;
import spendgate.gateway.v1.GatewayServiceOuterClass.CompleteRequest;
import spendgate.gateway.v1.GatewayServiceOuterClass.StreamCompleteRequest;
import spendgate.gateway.v1.GatewayServiceOuterClass.StreamCompleteResponse;
import spendgate.gateway.v1.GatewayServiceOuterClass.Summary;

/** A line to the gateway; safe to share between threads. Close it when done. */
public final class Spendgate implements AutoCloseable {
  private static final int TRIES_MAX = 3;
  private static final long BACKOFF_MILLIS = 100;
  private static final int MESSAGE_BYTES_MAX = 16 << 20;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> TRACEPARENT =
      Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER);

  private final ManagedChannel channel;
  private final String key;

  /** In plaintext. */
  public Spendgate(String address, String key) {
    this(address, key, InsecureChannelCredentials.create());
  }

  public Spendgate(String address, String key, ChannelCredentials credentials) {
    this.channel =
        Grpc.newChannelBuilder(address, credentials)
            .maxInboundMessageSize(MESSAGE_BYTES_MAX)
            .build();
    this.key = key;
  }

  /** The first choice's text, all choices, and what it took. */
  public record Answer(String text, List<Chat.Choice> choices, Summary summary) {}

  /** Text to add, or the summary, which comes last; the other is "" or null. */
  public record Piece(String text, Summary summary) {}

  /** Pieces as they come. Closing it early cancels the call. */
  public interface Pieces extends Iterator<Piece>, AutoCloseable {
    @Override
    void close();
  }

  /**
   * Answers a prompt. Tried again only where nothing can have been paid for: shed before work began, or
   * never arrived.
   *
   * @throws SpendgateException with the reason as its class
   */
  public Answer complete(Ask ask) {
    var request =
        CompleteRequest.newBuilder()
            .setModel(ask.model())
            .setPrompt(ask.prompt())
            .setOptions(ask.options())
            .build();
    long until = System.nanoTime() + ask.deadline().toNanos();
    for (int tries = 1; ; tries++) {
      try {
        var response = stub(ask, until - System.nanoTime()).complete(request);
        var choices = response.getChoicesList();
        String text = choices.isEmpty() ? "" : choices.get(0).getMessage().getContent();
        return new Answer(text, choices, response.getSummary());
      } catch (StatusRuntimeException error) {
        SpendgateException refusal = SpendgateException.typed(error);
        Duration wait = pause(refusal, tries);
        if (wait == null || System.nanoTime() + wait.toNanos() > until) {
          throw refusal;
        }
        sleep(wait, refusal);
      }
    }
  }

  /** Answers piece by piece; the iterator throws SpendgateException. */
  public Pieces stream(Ask ask) {
    var request =
        StreamCompleteRequest.newBuilder()
            .setModel(ask.model())
            .setPrompt(ask.prompt())
            .setOptions(ask.options())
            .build();
    Context.CancellableContext context = Context.current().withCancellation();
    Context previous = context.attach();
    try {
      var responses = stub(ask, ask.deadline().toNanos()).streamComplete(request);
      return new OpenPieces(responses, context);
    } finally {
      context.detach(previous);
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  private GatewayServiceGrpc.GatewayServiceBlockingStub stub(Ask ask, long nanosLeft) {
    return GatewayServiceGrpc.newBlockingStub(channel)
        .withInterceptors(new Shows(key, ask.traceparent()))
        .withDeadlineAfter(nanosLeft, TimeUnit.NANOSECONDS);
  }

  private static Duration pause(SpendgateException error, int tries) {
    if (tries >= TRIES_MAX) {
      return null;
    }
    if (error instanceof SpendgateException.Overloaded overloaded) {
      return overloaded.retryAfter();
    }
    boolean neverArrived = error.code() == Status.Code.UNAVAILABLE && error.reason().isEmpty();
    if (!(error instanceof SpendgateException.ServiceUnavailable) && !neverArrived) {
      return null;
    }
    return Duration.ofMillis(ThreadLocalRandom.current().nextLong(BACKOFF_MILLIS << tries));
  }

  private static void sleep(Duration wait, SpendgateException refusal) {
    try {
      Thread.sleep(wait.toMillis());
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw refusal;
    }
  }

  private record OpenPieces(
      Iterator<StreamCompleteResponse> responses, Context.CancellableContext context)
      implements Pieces {
    @Override
    public boolean hasNext() {
      try {
        return responses.hasNext();
      } catch (StatusRuntimeException error) {
        throw SpendgateException.typed(error);
      }
    }

    @Override
    public Piece next() {
      StreamCompleteResponse response = responses.next();
      return response.hasSummary()
          ? new Piece("", response.getSummary())
          : new Piece(response.getDelta().getContent(), null);
    }

    @Override
    public void close() {
      context.cancel(null);
    }
  }

  /** Puts the key and the caller's trace on a call. */
  private record Shows(String key, String traceparent) implements ClientInterceptor {
    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(
        MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
      return new ForwardingClientCall.SimpleForwardingClientCall<>(next.newCall(method, options)) {
        @Override
        public void start(Listener<A> listener, Metadata headers) {
          headers.put(AUTHORIZATION, "Bearer " + key);
          if (!traceparent.isEmpty()) {
            headers.put(TRACEPARENT, traceparent);
          }
          super.start(listener, headers);
        }
      };
    }
  }
}

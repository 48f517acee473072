package dev.spendgate.client;

import java.time.Duration;
import spendgate.chat.v1.Chat;
import spendgate.gateway.v1.GatewayServiceOuterClass.RequestOptions;

/** A prompt with its options; `with...` methods give changed copies. */
public record Ask(
    String model, Chat.Prompt prompt, RequestOptions options, Duration deadline, String traceparent) {
  private static final Duration DEADLINE = Duration.ofMinutes(2);

  /** One user message, for the model that the router chooses. */
  public static Ask text(String text) {
    var message = Chat.Message.newBuilder().setRole(Chat.Role.ROLE_USER).setContent(text);
    return of(Chat.Prompt.newBuilder().addMessages(message).build());
  }

  public static Ask of(Chat.Prompt prompt) {
    return new Ask("auto", prompt, RequestOptions.getDefaultInstance(), DEADLINE, "");
  }

  public Ask withModel(String name) {
    return new Ask(name, prompt, options, deadline, traceparent);
  }

  public Ask withOptions(RequestOptions given) {
    return new Ask(model, prompt, given, deadline, traceparent);
  }

  public Ask withDeadline(Duration given) {
    return new Ask(model, prompt, options, given, traceparent);
  }

  public Ask withTraceparent(String given) {
    return new Ask(model, prompt, options, deadline, given);
  }
}

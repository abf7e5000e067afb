using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Encodings.Web;
using System.Text.Json;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Infrastructure.Signing;
using CancelService.Infrastructure.Sql;
using CancelService.Protocol;
using Microsoft.Extensions.Options;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace CancelService.Infrastructure.Notifications;

/// <summary>The payload of the event that a payment has been cancelled.</summary>
/// <param name="Id">The event's identifier, stable across attempts; receivers use it to deduplicate.</param>
/// <param name="Type">Always <c>payment.cancelled</c>.</param>
/// <param name="ClientId">The client that owns the payment.</param>
/// <param name="PaymentId">The wallet's identifier of the payment.</param>
/// <param name="PaymentRequestId">The merchant's identifier of the payment.</param>
/// <param name="Amount">The payment's amount, in full.</param>
/// <param name="Effect">CLOSED, HOLD_RELEASED or REFUNDED.</param>
/// <param name="CancelTime">ISO 8601 in the wallet's zone, as in the answer to the merchant.</param>
public sealed record PaymentCancelledEvent(
    Guid Id,
    string Type,
    string ClientId,
    string PaymentId,
    string PaymentRequestId,
    MoneyView Amount,
    string Effect,
    string CancelTime
);

/// <summary>The outcome of sending an event: exactly one of four.</summary>
internal abstract record Sending
{
    private Sending() { }

    /// <summary>The receiver has confirmed the event.</summary>
    public sealed record Confirmed : Sending;

    /// <summary>The receiver has not confirmed the event.</summary>
    /// <param name="Error">The reason, for the log and the outbox.</param>
    public sealed record Failed(string Error) : Sending;

    /// <summary>The receiver was known to be away, and this probe failed as well.</summary>
    /// <param name="Error">The reason.</param>
    public sealed record StillAway(string Error) : Sending;

    /// <summary>No request was sent, because the receiver is known to be away.</summary>
    /// <param name="RetryAfter">The time to wait before a retry.</param>
    public sealed record Suspended(TimeSpan RetryAfter) : Sending;
}

/// <summary>Sends an event to the core's webhook as a signed <c>POST</c>.</summary>
internal sealed class Webhook(
    IHttpClientFactory clients,
    IOptions<NotificationsOptions> options,
    IOptions<WalletOptions> wallet,
    CircuitBreakerStateProvider circuit,
    TimeProvider time
)
{
    /// <summary>The name of the HTTP client.</summary>
    public const string HttpClientName = "notifications";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly NotificationsOptions _options = options.Value;
    private readonly EventSignature _signature = new(options.Value.Secrets);
    private readonly WalletClock _clock = new(wallet.Value.Zone);

    /// <summary>Sends an event, within <see cref="NotificationsOptions.AttemptTimeout"/>.</summary>
    public async Task<Sending> Send(ClaimedEvent claimed, Uri url)
    {
        var body = Body(claimed);
        using var request = new HttpRequestMessage(HttpMethod.Post, url);
        foreach (var (name, value) in _signature.Headers(claimed.EventId, time.GetUtcNow(), body))
            request.Headers.TryAddWithoutValidation(name, value);
        // Continues the trace of the merchant's request (W3C Trace Context).
        var parent = TraceOf(claimed);
        using var span = Telemetry.Spans.StartActivity("notify", ActivityKind.Producer, parent);
        if ((span?.Context ?? parent) is { TraceId: var trace, SpanId: var spanId } && trace != default)
            request.Headers.TryAddWithoutValidation(
                "traceparent",
                $"00-{trace}-{spanId}-{(span?.Recorded is true ? "01" : "00")}"
            );
        request.Content = new ByteArrayContent(body);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");

        // While the circuit is not closed, an attempt only probes the receiver.
        var isProbe = circuit.CircuitState is not CircuitState.Closed;
        try
        {
            using var client = clients.CreateClient(HttpClientName);
            using var response = await client.SendAsync(
                request,
                HttpCompletionOption.ResponseHeadersRead, // Ignore the body, which may be long.
                CancellationToken.None
            );
            return response.IsSuccessStatusCode
                ? new Sending.Confirmed()
                : Failed($"HTTP {(int)response.StatusCode}", isProbe);
        }
        catch (BrokenCircuitException e)
        {
            return new Sending.Suspended(e.RetryAfter ?? _options.PollInterval);
        }
        catch (TimeoutRejectedException)
        {
            return Failed($"no answer within {_options.AttemptTimeout}", isProbe);
        }
        catch (Exception e)
        {
            return Failed(Printable(e.Message), isProbe);
        }
    }

    private static Sending Failed(string error, bool isProbe) =>
        isProbe ? new Sending.StillAway(error) : new Sending.Failed(error);

    // The message may quote the receiver. Databases refuse NUL and half surrogate pairs. The result fits the column.
    private static string Printable(string message) =>
        string.Concat(message.Take(512).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));

    private static ActivityContext TraceOf(ClaimedEvent claimed) =>
        claimed.TraceId.Length == 32 && claimed.TraceId.All(char.IsAsciiHexDigitLower)
            ? new(
                ActivityTraceId.CreateFromString(claimed.TraceId),
                ActivitySpanId.CreateRandom(),
                ActivityTraceFlags.Recorded,
                isRemote: true
            )
            : default;

    private byte[] Body(ClaimedEvent claimed)
    {
        var payment = claimed.Payment;
        return JsonSerializer.SerializeToUtf8Bytes(
            new PaymentCancelledEvent(
                claimed.EventId,
                "payment.cancelled",
                payment.ClientId.Value,
                payment.Id.Value,
                payment.RequestId.Value,
                MoneyView.Of(payment.Amount),
                CancelDbContext.Stored(payment.Cancellation!.Effect),
                _clock.Seconds(payment.Cancellation.CancelledAt)
            ),
            Json
        );
    }
}

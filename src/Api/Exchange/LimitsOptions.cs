namespace CancelService.Api.Exchange;

/// <summary>
/// The section <c>Limits</c> of the settings: bounds the cost of unverified requests and greedy clients. A request over
/// a limit gets a plain 503 at once, which costs next to nothing; the merchant repeats it. Connections over their limit
/// are closed; slow headers and bodies get 408.
/// </summary>
public sealed class LimitsOptions
{
    /// <summary>The most connections of each port, 10 to 1,000,000. Further connections are closed.</summary>
    public int MaxConnections { get; set; } = 10_000;

    /// <summary>The most time for sending the headers of a request: 1 second to 5 minutes.</summary>
    public TimeSpan HeadersTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The most idle time of a connection: 1 second to 1 hour.</summary>
    public TimeSpan KeepAliveTimeout { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>
    /// The slowest rate of a body, in bytes a second, after a grace period of 5 seconds: 1 to 65,536.
    /// </summary>
    public int MinBodyBytesPerSecond { get; set; } = 240;

    /// <summary>The number of slots: the most requests in work at once, 1 to 10,000.</summary>
    public int MaxConcurrentRequests { get; set; } = 128;

    /// <summary>The most requests that wait for a slot: 0 to 100,000.</summary>
    public int MaxQueuedRequests { get; set; } = 512;

    /// <summary>
    /// One client's share of <see cref="MaxConcurrentRequests"/>, in percent: 1 to 100. Its further requests wait in a
    /// queue of its own with <see cref="MaxQueuedRequests"/>, so a lock on one merchant's account delays only that
    /// merchant. All look-ups for unverified requests together have one such share and queue.
    /// </summary>
    public int ClientSharePercent { get; set; } = 25;

    /// <summary>
    /// The most time that a request waits for a slot: 10 milliseconds to 1 minute. Keep it below the merchants'
    /// timeout; otherwise an overloaded instance only works for clients that have hung up.
    /// </summary>
    public TimeSpan MaxQueueTime { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The most look-ups a second for clients that are not in the cache: 1 to 1,000,000. They are merchants' first
    /// requests after a start, and invented names.
    /// </summary>
    public int UnknownClientsPerSecond { get; set; } = 1000;

    /// <summary>
    /// The most signatures a second for answers to unverified requests: 1 to 1,000,000. A signature is the most
    /// expensive work that an unverified request can cause; fifty a second take at most a twentieth of a processor.
    /// Equal refusals share one signature per second, so all but the first are free.
    /// </summary>
    public int UnverifiedAnswersPerSecond { get; set; } = 50 * Environment.ProcessorCount;

    /// <summary>
    /// The most such signatures at once after idle time: 1 to 1,000,000. The default lets a developer try every refusal
    /// in a row.
    /// </summary>
    public int UnverifiedAnswersBurst { get; set; } = 300;

    /// <summary>
    /// The delay of the answer to an unverified request, or to a request over its client's rate: 0 to 1 second. With 2
    /// ms a flooding connection gets at most 500 refusals a second.
    /// </summary>
    public TimeSpan RefusalDelay { get; set; } = TimeSpan.FromMilliseconds(2);

    /// <summary>Names the first wrong setting and its remedy; null without one.</summary>
    public string? Problem() =>
        MaxConnections is < 10 or > 1_000_000
            ? $"Limits:MaxConnections is {MaxConnections}. Set it between 10 and 1000000."
        : HeadersTimeout < TimeSpan.FromSeconds(1) || HeadersTimeout > TimeSpan.FromMinutes(5)
            ? $"Limits:HeadersTimeout is {HeadersTimeout}. Set it between 00:00:01 and 00:05:00."
        : KeepAliveTimeout < TimeSpan.FromSeconds(1) || KeepAliveTimeout > TimeSpan.FromHours(1)
            ? $"Limits:KeepAliveTimeout is {KeepAliveTimeout}. Set it between 00:00:01 and 01:00:00."
        : MinBodyBytesPerSecond is < 1 or > 65_536
            ? $"Limits:MinBodyBytesPerSecond is {MinBodyBytesPerSecond}. Set it between 1 and 65536."
        : MaxConcurrentRequests is < 1 or > 10_000
            ? $"Limits:MaxConcurrentRequests is {MaxConcurrentRequests}. Set it between 1 and 10000."
        : MaxQueuedRequests is < 0 or > 100_000
            ? $"Limits:MaxQueuedRequests is {MaxQueuedRequests}. Set it between 0 and 100000."
        : ClientSharePercent is < 1 or > 100
            ? $"Limits:ClientSharePercent is {ClientSharePercent}. Set it between 1 and 100."
        : MaxQueueTime < TimeSpan.FromMilliseconds(10) || MaxQueueTime > TimeSpan.FromMinutes(1)
            ? $"Limits:MaxQueueTime is {MaxQueueTime}. Set it between 00:00:00.0100000 and 00:01:00."
        : UnknownClientsPerSecond is < 1 or > 1_000_000
            ? $"Limits:UnknownClientsPerSecond is {UnknownClientsPerSecond}. Set it between 1 and 1000000."
        : UnverifiedAnswersPerSecond is < 1 or > 1_000_000
            ? $"Limits:UnverifiedAnswersPerSecond is {UnverifiedAnswersPerSecond}. Set it between 1 and 1000000."
        : UnverifiedAnswersBurst is < 1 or > 1_000_000
            ? $"Limits:UnverifiedAnswersBurst is {UnverifiedAnswersBurst}. Set it between 1 and 1000000."
        : RefusalDelay < TimeSpan.Zero || RefusalDelay > TimeSpan.FromSeconds(1)
            ? $"Limits:RefusalDelay is {RefusalDelay}. Set it between 00:00:00 and 00:00:01."
        : null;
}
